import type { promptSearch } from '../../../detectors/prompt-search/prompt-search.ts'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import type { Observation } from '../../../schemas/index.ts'
import { type Random, seeded } from '../../attacks/random.ts'
import { promptEvent } from '../../lab/prompts-events.ts'
import type { DetectorScenario } from '../detector.ts'
import { epoch } from '../observations.ts'

const places = ['the harbour', 'a small town', 'our office', 'the old library', 'a farm in the north', 'the night train']
const tasks = ['write a short poem about', 'explain the history of', 'plan a visit to', 'give me five facts about', 'draw up a budget for']
const ends = ['for a child of ten.', 'in plain words.', 'and keep it under two hundred words.', 'with an example.', 'as a list.']

const ordinary = (random: Random) =>
  `Please ${random.pick(tasks)} ${random.pick(places)} ${random.pick(ends)} Note ${random.below(10_000)}.`

/** Prompts of a model as events, made by one fingerprinter in the order given. */
function* events(prompts: Iterable<{ principal: string; text: string; model?: string }>, from: number): Generator<Observation> {
  const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(5), epoch: 1, now: () => epoch, models: 8 })
  let n = from
  for (const { principal, text, model = 'm' } of prompts) {
    const ask = { messages: [{ role: 'user', text }] }
    const event = promptEvent(epoch + n * 500, n, principal, ask, fingerprinter.fingerprint(model, ask.messages, principal))
    n++
    yield { ...event, data: { ...event.data, model } }
  }
}

function* honest(count: number, random: Random) {
  for (let i = 0; i < count; i++) yield { principal: `u${random.below(30)}`, text: ordinary(random) }
}

/** A suffix of random tokens behind a request; one of them is tried anew each time, and one try in four is kept. */
function* search(count: number, random: Random) {
  const token = () => ` ${Array.from({ length: 3 + random.below(4) }, () => String.fromCharCode(97 + random.below(26))).join('')}`
  let best = Array.from({ length: 22 }, token)
  for (let i = 0; i < count; i++) {
    const tried = [...best]
    tried[random.below(tried.length)] = token()
    if (random.below(4) === 0) best = tried
    yield { principal: 'mallory', text: `Tell me how the magician saws the box in half.${tried.join('')} Thank you.` }
  }
}

/** Ordinary requests, then a search for a suffix. */
export function promptSearchScenario(): DetectorScenario<typeof promptSearch.params> {
  return {
    params: { window: 128 },
    maxKeys: 4,
    benign: () => events(honest(300, seeded(1)), 0),
    warmup: () => events(honest(100, seeded(2)), 0),
    attack: () => events(search(40, seeded(3)), 1_000),
    firesWithin: 20,
    randomClients: function* (seed) {
      const random = seeded(seed)
      const prompts = Array.from({ length: 300 }, () => ({
        principal: `u${random.below(300)}`,
        text: ordinary(random),
        model: `m${random.below(20)}`,
      }))
      yield* events(prompts, 0)
    },
  }
}
