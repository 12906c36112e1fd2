import type { extractionRing } from '../../../detectors/extraction-ring/extraction-ring.ts'
import type { Observation } from '../../../schemas/index.ts'
import { seeded } from '../../attacks/random.ts'
import type { DetectorScenario } from '../detector.ts'
import { randomFingerprints, type VictimTraffic } from './victim-traffic.ts'

/** Inputs that are no digits, each account asking two or three of them. */
export async function ringScenario(traffic: VictimTraffic): Promise<DetectorScenario<typeof extractionRing.params>> {
  const random = seeded(6)
  const benign = await traffic.ordinary(1_500, random, (n) => `client-${n % 50}`)
  const attack: Observation[] = []
  for (let n = 0; n < 60; n++) {
    const noise = Float32Array.from({ length: 28 * 28 }, () => random.next())
    attack.push((await traffic.query(`thief-${n % 20}`, noise)).event)
  }
  return {
    params: {},
    benign: () => benign,
    attack: () => attack,
    // Twenty first queries, and five accounts that come a second time; the first of all lay among nobody's.
    firesWithin: 26,
    maxKeys: 8,
    randomClients: (seed) => randomFingerprints(seeded(seed), 16),
  }
}
