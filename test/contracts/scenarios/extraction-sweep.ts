import type { extractionSweep } from '../../../detectors/extraction-sweep/extraction-sweep.ts'
import type { Observation } from '../../../schemas/index.ts'
import { seeded } from '../../attacks/random.ts'
import type { DetectorScenario } from '../detector.ts'
import { randomFingerprints, type VictimTraffic } from './victim-traffic.ts'

/** Inputs that are no digits, to learn what the digits model says of everything. */
export async function extractionScenario(traffic: VictimTraffic): Promise<DetectorScenario<typeof extractionSweep.params>> {
  const random = seeded(4)
  const benign = await traffic.ordinary(1_500, random, (n) => `client-${n % 5}`)
  const attack: Observation[] = []
  for (let n = 0; n < 60; n++) {
    const noise = Float32Array.from({ length: 28 * 28 }, () => (random.next() < 0.3 ? random.next() : 0))
    attack.push((await traffic.query('sweeper', noise)).event)
  }
  return {
    params: {},
    benign: () => benign,
    attack: () => attack,
    firesWithin: 20,
    maxKeys: 200,
    randomClients: (seed) => randomFingerprints(seeded(seed), 1),
  }
}
