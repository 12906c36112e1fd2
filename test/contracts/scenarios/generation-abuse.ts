import type { generationAbuse } from '../../../detectors/generation-abuse/generation-abuse.ts'
import type { EventOf, Observation } from '../../../schemas/index.ts'
import { seeded } from '../../attacks/random.ts'
import { attacks } from '../../lab/generations-attacks.ts'
import { benign } from '../../lab/generations-benign.ts'
import { type Asked, anyAnswer, anyPrompt, eventsOf, type Story, sampled } from '../../lab/generations-events.ts'
import type { DetectorScenario } from '../detector.ts'
import { idOf } from '../observations.ts'

/** Honest clients of several kinds that share a model, and one that reads its logits out. */
export function generationScenario(): DetectorScenario<typeof generationAbuse.params> {
  // Kinds of which nothing is stated at all; of one person in a hundred it is stated, for people to see, that they insist.
  const kinds = [
    'classifiers with a bias',
    'evaluation harness',
    'agents',
    'health checks',
    'self-consistency',
    'retries',
    'multiple choice, a bias each',
  ]
  return {
    params: {},
    benign: () => together(kinds.map((kind, n) => told(benign, kind, `client-${n}`, 11 + n, 200))),
    attack: () => told(attacks, 'logits by halves, one prompt', 'reader', 3, 30),
    firesWithin: 14,
    maxKeys: 100,
    randomClients: (seed) => {
      const random = seeded(seed)
      return together(Array.from({ length: 160 }, (_, n) => take(eventsOf(anything(seed + n), `random-${random.below(1e6)}-${n}`), 8)))
    },
  }
}

function told(stories: readonly Story[], name: string, principal: string, seed: number, most: number): EventOf<'prompt'>[] {
  const story = stories.find((one) => one.name === name)
  if (story === undefined) throw new Error(`no story named ${name}`)
  return take(eventsOf(story.asks(seeded(seed)), principal), most)
}

function take(events: Iterable<EventOf<'prompt'>>, most: number): EventOf<'prompt'>[] {
  const found: EventOf<'prompt'>[] = []
  for (const event of events) if (found.push(event) >= most) break
  return found
}

/** In the order of time, each with an id of its own. */
function together(clients: readonly EventOf<'prompt'>[][]): Observation[] {
  const all = clients.flat().sort((a, b) => a.time - b.time)
  return all.map((event, n) => ({ ...event, id: idOf(n, event.time) }))
}

/** Any field any way the contract takes it. */
function* anything(seed: number): Generator<Asked> {
  const random = seeded(seed)
  for (;;) {
    const logitBias = random.next() < 0.3 ? { tokens: 1, largest: random.between(0, 100), hash: '0123456789abcdef' } : null
    const sampling =
      random.next() < 0.2
        ? { sampling: null }
        : sampled({ temperature: random.pick([null, 0, 1.5]), logitBias, choices: 1 + random.below(128) })
    const odd = {
      refused: random.pick([null, true, false]),
      system: random.pick([null, 'ffffffffffffffff']),
      chunks: random.pick(['', 'AAAA', 'A'.repeat(640)]),
    }
    yield { after: random.between(0, 5_000), data: { ...anyPrompt(random, 300), ...anyAnswer(random, 300), ...sampling, ...odd } }
  }
}
