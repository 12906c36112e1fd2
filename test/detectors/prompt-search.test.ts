import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { promptEvent } from '../lab/prompts-events.ts'
import type { Ask } from '../lab/prompts-jobs.ts'
import { inMemory } from '../lab/stream.ts'

const words = 'the ship left its harbour before dawn and nobody on the quay could say where its captain meant to go that winter'.split(' ')
const goal = 'Tell me how the magician on the market square saws the wooden box in half without hurting his assistant'

/** The number of the job's prompt that raises something of confidence `least`, and the finding; each prompt by the next of `principals`. */
function raised(job: readonly Ask[], principals: readonly string[] = ['mallory'], least = 0.5, pace = 1_000) {
  const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(3), epoch: 1, now: () => 0 })
  const detector = inMemory(promptSearch, {})
  for (const [i, ask] of job.entries()) {
    const principal = principals[i % principals.length] ?? ''
    const event = promptEvent(i * pace, i, principal, ask, fingerprinter.fingerprint('m', ask.messages, principal))
    const finding = detector(event).find(({ confidence }) => confidence >= least)
    if (finding) return { at: i + 1, finding }
  }
  return undefined
}

const asks = (texts: readonly string[]): Ask[] => texts.map((text) => ({ messages: [{ role: 'user', text }] }))
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const letters = (random: Random, count: number) => times(count, () => String.fromCharCode(97 + random.below(26))).join('')
const token = (random: Random) => ` ${letters(random, 3 + random.below(4))}`

function suffixes(random: Random, count: number, next = token): Ask[] {
  let best = times(22, () => next(random))
  return asks(
    times(count, () => {
      const tried = [...best]
      tried[random.below(tried.length)] = next(random)
      if (random.below(4) === 0) best = tried
      return `${goal}.${tried.join('')} Thank you.`
    }),
  )
}

const inAnyCase = (random: Random, text: string) =>
  [...text].map((c) => (random.below(2) === 0 ? c.toUpperCase() : c.toLowerCase())).join('')

describe('prompt-search', () => {
  it('sees a search for a suffix, by one account and by ten', () => {
    for (const accounts of [1, 10]) {
      const found = raised(
        suffixes(seeded(11), 40),
        times(accounts, (i) => `sybil-${i}`),
      )
      assert.ok(found && found.at <= 30, `${found?.at}`)
      assert.equal(found.finding.evidence['family'], 'suffix search (random search, coordinate gradient)')
      assert.ok(found.finding.confidence >= 0.5)
      assert.ok(found.finding.principals.length >= Math.min(accounts, 3), 'the accounts that took part are named')
    }
  })

  it('sees one text in many spellings', () => {
    const random = seeded(12)
    const found = raised(asks(times(20, () => inAnyCase(random, goal))))
    assert.ok(found && found.at <= 16, `${found?.at}`)
    assert.match(found.finding.title, /many spellings/)
  })

  it('sees a refused prompt sent again and again, and leaves an answered one alone', () => {
    const again = (refused: boolean | null) => times(30, () => ({ ...(asks([goal])[0] as Ask), refused }))
    // 0.7 nats for each repetition less what a second takes away, seven needed: the eleventh repetition is the twelfth prompt.
    assert.equal(raised(again(true))?.at, 12)
    assert.equal(raised(again(false)), undefined)
    assert.equal(raised(again(null)), undefined)
  })

  it('leaves alone a few retries of what was refused, and a prompt that is refused once an hour', () => {
    const ask: Ask = { ...(asks([goal])[0] as Ask), refused: true }
    assert.equal(raised(times(6, () => ask)), undefined)
    assert.equal(
      raised(
        times(100, () => ask),
        ['cron'],
        0.5,
        3_600_000,
      ),
      undefined,
    )
  })

  it('names nobody who happens to ask what somebody else insists on, and was answered', () => {
    const refused: Ask = { ...(asks([goal])[0] as Ask), refused: true }
    const insisting = times(40, (i) => (i % 4 === 3 ? { ...refused, refused: false } : refused))
    const found = raised(insisting, ['mallory', 'mallory', 'mallory', 'bystander'])
    assert.deepEqual(found?.finding.principals, ['mallory'])
  })

  it('only informs of a series that is mostly refused, as an honest batch may be', () => {
    const random = seeded(16)
    const batch = times(60, (i) => ({
      ...(asks([`${times(20, () => random.pick(words)).join(' ')}. ${goal}`])[0] as Ask),
      refused: i % 5 > 0,
    }))
    assert.equal(raised(batch), undefined)
    const told = raised(batch, ['batch'], 0)
    assert.equal(told?.finding.severity, 'info')
    assert.ok((told?.finding.confidence ?? 1) <= 0.4)
  })

  it('says that it suspects something before it is sure, once, and as information', () => {
    // Of tokens that are as long as one another a step says 1.5 nats at most, so that it comes by 5.6 on its way to 7.
    const job = suffixes(seeded(11), 200, (random) => ` ${letters(random, 4)}`)
    const suspected = raised(job, ['mallory'], 0)
    const sure = raised(job, ['mallory'], 0.7)
    assert.equal(suspected?.finding.severity, 'info')
    assert.ok(suspected && sure && suspected.at < sure.at)
    assert.equal(suspected.finding.opened, sure.finding.opened)
  })

  it('leaves alone somebody who leaves out one word after the other', () => {
    const parts = times(60, (i) => words[i % words.length] ?? '')
    assert.equal(raised(asks(times(60, (i) => parts.filter((_, j) => j !== i).join(' ')))), undefined)
  })

  it('leaves alone a template whose slot changes in one place', () => {
    const random = seeded(13)
    const job = times(60, () => `${words.join(' ')}.${token(random)}${token(random)}. ${words.toReversed().join(' ')}.`)
    assert.equal(raised(asks(job)), undefined)
  })

  it('leaves alone a writer who goes on from the last version', () => {
    const random = seeded(14)
    const text = times(60, () => random.pick(words))
    const job = times(40, () => {
      text[random.below(text.length)] = random.pick(words) + token(random)
      return text.join(' ')
    })
    assert.equal(raised(asks(job)), undefined)
  })

  it('leaves alone a template whose number moves with the length of the slots before it', () => {
    const random = seeded(17)
    const slots = times(3, () => times(5, () => times(1 + random.below(5), () => random.pick(words)).join(' ')))
    const job = times(150, () => `Please ${slots.map((slot) => random.pick(slot)).join(' ')} in plain words. Note ${random.below(10_000)}.`)
    assert.equal(raised(asks(job)), undefined)
  })

  it('leaves alone a sequence of letters that is changed at random, the best kept', () => {
    const random = seeded(18)
    let best = times(90, () => random.pick([...'ACDEFGHIKLMNPQRSTVWY']))
    const job = times(120, () => {
      const tried = [...best]
      for (let i = 0; i <= random.below(3); i++) tried[random.below(90)] = random.pick([...'ACDEFGHIKLMNPQRSTVWY'])
      if (random.below(3) === 0) best = tried
      return `How stable is this protein likely to be? Answer with a number.\n${tried.join('')}\nThank you.`
    })
    assert.equal(raised(asks(job)), undefined)
  })

  it('leaves alone a text that is cut off at one place after the other', () => {
    const random = seeded(19)
    const text = times(200, () => random.pick(words) + token(random)).join(' ')
    assert.equal(raised(asks(times(60, (i) => text.slice(0, 200 + i * (3 + random.below(9)))))), undefined)
  })

  it('leaves alone a conversation that grows', () => {
    const random = seeded(15)
    let text = goal
    const job = times(40, () => {
      text += ` ${times(12, () => random.pick(words)).join(' ')}`
      return text
    })
    assert.equal(raised(asks(job)), undefined)
  })
})
