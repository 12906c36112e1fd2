import type { modelLeakage } from '../../../detectors/model-leakage/model-leakage.ts'
import { seeded } from '../../attacks/random.ts'
import type { DetectorScenario } from '../detector.ts'
import { randomFingerprints, type VictimTraffic } from './victim-traffic.ts'

/** One account that has the digits model answer a whole data set of ordinary digits, under a budget of 0.9. */
export async function leakageScenario(traffic: VictimTraffic): Promise<DetectorScenario<typeof modelLeakage.params>> {
  const benign = await traffic.ordinary(1_000, seeded(14), (n) => `client-${n % 20}`)
  const attack = await traffic.ordinary(500, seeded(15), () => 'thief')
  return {
    params: { models: { digits: { budget: 0.9, enforce: true } } },
    benign: () => benign,
    attack: () => attack,
    firesWithin: 400,
    maxKeys: 200,
    randomClients: (seed) => randomFingerprints(seeded(seed), 1),
  }
}
