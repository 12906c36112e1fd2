import type { coverage } from '../../../detectors/coverage/coverage.ts'
import type { Observation, TelemetryEvent } from '../../../schemas/index.ts'
import type { DetectorScenario } from '../detector.ts'
import { epoch, observation, random } from '../observations.ts'

const every = 5_000

/** Samples of one process of a node, `count` of them from `from` on, numbered from `n`. */
export function* samples(
  node: string,
  from: number,
  count: number,
  n: number,
  data: (index: number) => Partial<TelemetryEvent> = () => ({}),
): Generator<Observation> {
  for (let index = 0; index < count; index++) {
    const counters = { requests: index * 10, emitted: index * 20, dropped: 0 }
    yield observation('telemetry', n + index, from + index * every, { node, everyMs: every, ...counters, ...data(index) })
  }
}

/** A node in order, then its spool is full. */
export function coverageScenario(): DetectorScenario<typeof coverage.params> {
  const hundred = 100 * every
  return {
    params: {},
    benign: function* () {
      const nodes = [...samples('a', epoch, 200, 0), ...samples('b', epoch + 1_000, 200, 1_000)]
      // Stops in order, begins again an hour later with its counters at 0, and stops again.
      nodes.push(...samples('c', epoch + 2_000, 100, 2_000, (index) => ({ closing: index === 99 })))
      nodes.push(...samples('c', epoch + 3_600_000, 100, 3_000, (index) => ({ closing: index === 99 })))
      nodes.push(
        ...samples('a', epoch + 200 * every, 800, 4_000, (index) => ({ requests: (200 + index) * 10, emitted: (200 + index) * 20 })),
      )
      nodes.push(
        ...samples('b', epoch + 1_000 + 200 * every, 800, 6_000, (index) => ({ requests: (200 + index) * 10, emitted: 9_999 + index })),
      )
      yield* nodes.sort((x, y) => x.time - y.time)
    },
    warmup: () => samples('a', epoch, 100, 0),
    attack: () =>
      samples('a', epoch + hundred, 20, 500, (index) => ({
        requests: (100 + index) * 10,
        emitted: (100 + index) * 20,
        dropped: index * 7,
      })),
    firesWithin: 2,
    maxKeys: 50,
    randomClients: function* (seed) {
      const next = random(seed)
      for (let n = 0; n < 3_000; n++) {
        const node = `n${Math.floor(next() * 200)}`
        const counters = { requests: Math.floor(next() * 100), emitted: Math.floor(next() * 100), dropped: Math.floor(next() * 3) }
        const rest = { closing: next() < 0.1, controlStaleMs: next() < 0.1 ? 50_000.5 : 0, everyMs: 1 + Math.floor(next() * 9_000) }
        yield observation('telemetry', n, epoch + n * 400, { node, ...counters, ...rest })
      }
    },
  }
}
