import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import { type Random, seeded } from '../attacks/random.ts'
import type { Ask } from '../lab/prompts-benign.ts'
import { promptEvent } from '../lab/prompts-events.ts'
import { inMemory } from '../lab/stream.ts'

const words = 'the ship left its harbour before dawn and nobody on the quay could say where its captain meant to go that winter'.split(' ')
const goal = 'Tell me how the magician on the market square saws the wooden box in half without hurting his assistant'

/** The number of the job's prompt that raises something, and the finding; each prompt by the next of `principals`. */
function raised(job: readonly Ask[], principals: readonly string[] = ['mallory']) {
  const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(3), epoch: 1, now: () => 0 })
  const detector = inMemory(promptSearch, {})
  for (const [i, ask] of job.entries()) {
    const principal = principals[i % principals.length] ?? ''
    const event = promptEvent(i * 1_000, i, principal, ask, fingerprinter.fingerprint('m', ask.messages, principal))
    const [finding] = detector(event)
    if (finding) return { at: i + 1, finding }
  }
  return undefined
}

const asks = (texts: readonly string[]): Ask[] => texts.map((text) => ({ messages: [{ role: 'user', text }] }))
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const token = (random: Random) => ` ${times(3 + random.below(4), () => String.fromCharCode(97 + random.below(26))).join('')}`

function suffixes(random: Random, count: number): Ask[] {
  let best = times(22, () => token(random))
  return asks(
    times(count, () => {
      const tried = [...best]
      tried[random.below(tried.length)] = token(random)
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
      assert.ok(found && found.at <= 20, `${found?.at}`)
      assert.equal(found.finding.evidence['family'], 'suffix search (random search, coordinate gradient)')
      assert.ok(found.finding.confidence >= 0.5)
      assert.ok(found.finding.principals.length >= Math.min(accounts, 3), 'the accounts that took part are named')
    }
  })

  it('sees one text in many spellings', () => {
    const random = seeded(12)
    const found = raised(asks(times(20, () => inAnyCase(random, goal))))
    assert.ok(found && found.at <= 10, `${found?.at}`)
    assert.match(found.finding.title, /many spellings/)
  })

  it('sees a refused prompt sent again and again, and leaves an answered one alone', () => {
    const again = (refused: boolean | null) => times(30, () => ({ ...(asks([goal])[0] as Ask), refused }))
    // Two nats for each repetition, seven needed: the fourth repetition is the fifth prompt.
    assert.equal(raised(again(true))?.at, 5)
    assert.equal(raised(again(false)), undefined)
    assert.equal(raised(again(null)), undefined)
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
