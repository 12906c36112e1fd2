import type { nearDuplicateProbing } from '../../../detectors/near-duplicate-probing/near-duplicate-probing.ts'
import type { Observation } from '../../../schemas/index.ts'
import { hopSkipJump } from '../../attacks/hopskipjump.ts'
import { seeded } from '../../attacks/random.ts'
import type { DetectorScenario } from '../detector.ts'
import { randomFingerprints, type VictimTraffic } from './victim-traffic.ts'

/** A decision-based attack on the digits model among strangers' queries. */
export async function nearDuplicateScenario(traffic: VictimTraffic): Promise<DetectorScenario<typeof nearDuplicateProbing.params>> {
  const random = seeded(3)
  const warmup = await traffic.ordinary(600, random, (n) => `ordinary-${n % 20}`)
  const attack: Observation[] = []
  const source = traffic.image(0)
  const { label } = await traffic.query('before', source)
  const oracle = {
    query: async (image: Float32Array) => {
      const { event, probabilities, label } = await traffic.query('attacker', image)
      attack.push(event)
      return { refused: false, label, probabilities } as const
    },
  }
  await hopSkipJump(oracle, { source, label }, { random, budget: 60, start: traffic.image(1) })
  const benign = await traffic.ordinary(1_000, random, (n) => `client-${n % 10}`)
  return {
    params: {},
    benign: () => benign,
    warmup: () => warmup,
    attack: () => attack,
    firesWithin: 30,
    randomClients: (seed) => randomFingerprints(seeded(seed), 200),
  }
}
