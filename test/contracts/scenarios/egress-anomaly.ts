import type { egressAnomaly } from '../../../detectors/egress-anomaly/egress-anomaly.ts'
import type { Observation } from '../../../schemas/index.ts'
import { uploads } from '../../attacks/egress-exfiltration.ts'
import { seeded } from '../../attacks/random.ts'
import { drawTraits, type TimedFlow, workloadFlows } from '../../benign/egress-workload.ts'
import type { DetectorScenario } from '../detector.ts'
import { epoch, observation } from '../observations.ts'

const learned = 3_000

function flow(n: number, { at, data }: TimedFlow): Observation {
  return observation('flow', n, at, data)
}

function* first(count: number, flows: Iterable<TimedFlow>, from = 0): Generator<Observation> {
  let n = from
  for (const each of flows) {
    if (n >= from + count) return
    yield flow(n++, each)
  }
}

/** One workload's ordinary traffic, then an upload in chunks of 1 MB from it. */
export function egressScenario(): DetectorScenario<typeof egressAnomaly.params> {
  const upload = uploads.find(({ name }) => name.startsWith('1 MB chunks'))
  if (upload === undefined) throw new Error('the upload in chunks is gone')
  const traits = (seed: number) => drawTraits(seeded(seed), seed, false)
  const ordinary = (seed: number) => first(learned, workloadFlows(traits(seed), seeded(seed), epoch), seed * 10_000)
  const last = [...ordinary(1)].at(-1)?.time ?? epoch
  return {
    params: {},
    benign: function* () {
      for (const seed of [2, 3, 4]) yield* ordinary(seed)
    },
    warmup: () => ordinary(1),
    attack: () => first(100, upload.flows(traits(1), seeded(5), last + 1_000), 900_000),
    firesWithin: 30,
    randomClients: function* (seed) {
      const random = seeded(seed)
      for (let n = 0; n < 6_000; n++) {
        const destination = { address: `203.0.113.${random.below(256)}`, port: random.below(65_536), name: null }
        const bytesOut = Math.floor(Math.exp(random.between(0, 18)))
        yield observation('flow', n, epoch + n * 50, { workload: `w${random.below(20_000)}`, destination, bytesOut })
      }
    },
  }
}
