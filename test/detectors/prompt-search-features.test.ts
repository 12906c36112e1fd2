import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { openCluster } from '../../detectors/prompt-search/cluster.ts'
import { Difference } from '../../detectors/prompt-search/difference.ts'
import { featureNames, readFeatures } from '../../detectors/prompt-search/features.ts'
import type { Link } from '../../detectors/prompt-search/link.ts'
import { linkPrompt } from '../../detectors/prompt-search/link-prompt.ts'
import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { Sketch } from '../../detectors/prompt-search/sketch.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { promptEvent } from '../lab/prompts-events.ts'

const emptyState = () => promptSearch.state.parse(promptSearch.start(promptSearch.params.parse({})).initial(0))
const times = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))

/** A step of a search: twelve strange characters for ten, in the midst of a prompt that nobody else writes. */
function step(): Link {
  const difference = Object.assign(new Difference(), {
    kept: 160,
    keptRare: 160,
    added: 12,
    removed: 10,
    sites: 1,
    gaps: 1,
    before: 5,
    after: 5,
    fresh: 12,
    freshRuns: 1,
    freshExcess: 3,
  })
  const cluster = openCluster(emptyState(), 'e', 0, 8)
  return {
    cluster,
    difference,
    moved: true,
    familiar: false,
    abandoned: 1,
    restored: 1,
    endsAgain: false,
    repeated: false,
    refused: null,
  }
}

/** The most that a link may say, and whether it says anything. */
function read(link: Link): { atMost: number; says: boolean } {
  const into = new Float64Array(featureNames.length)
  const atMost = readFeatures(link, into)
  return { atMost, says: into.some((feature) => feature > 0) }
}

function changed(link: Partial<Link>, difference: Partial<Difference> = {}): Link {
  const whole = { ...step(), ...link }
  Object.assign(whole.difference, difference)
  return whole
}

/** The links of prompts that one caller sends one after the other. */
function links(prompts: readonly string[]): Pick<Link, 'familiar' | 'restored'>[] {
  const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(3), epoch: 1, now: () => 0 })
  const state = emptyState()
  const sketch = new Sketch()
  return prompts.flatMap((text, i) => {
    const ask = { messages: [{ role: 'user', text }] }
    const link = linkPrompt(state, promptEvent(i * 500, i, 'a', ask, fingerprinter.fingerprint('m', ask.messages, 'a')), sketch, 512)
    return link ? [{ familiar: link.familiar, restored: link.restored }] : []
  })
}

const share = <T>(items: readonly T[], is: (item: T) => boolean) => items.filter(is).length / items.length
const word = (random: Random) => times(4 + random.below(5), () => String.fromCharCode(97 + random.below(26))).join('')

describe('a step of a search over prompts', () => {
  it('says most', () => assert.deepEqual(read(step()), { atMost: 3.9, says: true }))

  it('says less where letters were exchanged one for one', () =>
    assert.deepEqual(read(changed({}, { added: 10 })), { atMost: 1.5, says: true }))

  const none: Record<string, Link> = {
    'new text in the surroundings of a slot': changed({ familiar: true }),
    'a change at the end after one at the end': changed({ endsAgain: true }),
    'a change after which nothing came back': changed({ restored: 0.3 }),
    'letters exchanged within words': changed({}, { sameCuts: true }),
    'what is mostly left out': changed({}, { removed: 25 }),
  }
  for (const [name, link] of Object.entries(none))
    it(`is not ${name}, which says nothing`, () => assert.deepEqual(read(link), { atMost: 0, says: false }))

  const against: Record<string, Link> = {
    'a change in the same place': changed({ moved: false }),
    'a change on top of the last one': changed({ abandoned: 0.5 }),
    'much new text': changed({}, { fresh: 49 }),
  }
  for (const [name, link] of Object.entries(against))
    it(`is not ${name}, which speaks against one`, () => assert.equal(read(link).atMost, -0.2))

  it('says nothing where the new text reads like the rest, or all of the prompt is common', () => {
    assert.equal(read(changed({}, { freshExcess: 0 })).says, false)
    assert.equal(read(changed({}, { keptRare: 0 })).says, false)
  })
})

describe('where a change stands', () => {
  it('is known by what stands around it, however long the slots before it are', () => {
    const random = seeded(21)
    const slots = times(12, (i) => times(1 + i, () => word(random)).join(' '))
    const found = links(times(60, (i) => `${random.pick(slots)} was sent to the harbour master on day ${1_000 + 37 * i} of that year.`))
    const known = share(found.slice(15), ({ familiar }) => familiar)
    assert.ok(known > 0.6, String(known))
  })

  it('is new, and what was replaced comes back, where one word after the other is tried', () => {
    const random = seeded(22)
    const base = times(40, () => word(random))
    const found = links(times(60, (i) => base.map((each, j) => (j === (i * 17) % 40 ? word(random) : each)).join(' ')))
    assert.ok(share(found, ({ familiar }) => familiar) < 0.2)
    assert.ok(share(found.slice(1), ({ restored }) => restored > 0.3) > 0.7)
  })
})
