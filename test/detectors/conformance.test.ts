import assert from 'node:assert/strict'
import { it } from 'node:test'
import { coverage } from '../../detectors/coverage/coverage.ts'
import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import { extractionRing } from '../../detectors/extraction-ring/extraction-ring.ts'
import { extractionSweep } from '../../detectors/extraction-sweep/extraction-sweep.ts'
import { generationAbuse } from '../../detectors/generation-abuse/generation-abuse.ts'
import { modelLeakage } from '../../detectors/model-leakage/model-leakage.ts'
import { nearDuplicateProbing } from '../../detectors/near-duplicate-probing/near-duplicate-probing.ts'
import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { detectors } from '../../detectors/registry.ts'
import { detectorContract } from '../contracts/detector.ts'
import { coverageScenario } from '../contracts/scenarios/coverage.ts'
import { egressScenario } from '../contracts/scenarios/egress-anomaly.ts'
import { ringScenario } from '../contracts/scenarios/extraction-ring.ts'
import { extractionScenario } from '../contracts/scenarios/extraction-sweep.ts'
import { generationScenario } from '../contracts/scenarios/generation-abuse.ts'
import { leakageScenario } from '../contracts/scenarios/model-leakage.ts'
import { nearDuplicateScenario } from '../contracts/scenarios/near-duplicate-probing.ts'
import { promptSearchScenario } from '../contracts/scenarios/prompt-search.ts'
import { VictimTraffic } from '../contracts/scenarios/victim-traffic.ts'

const traffic = await VictimTraffic.open()
detectorContract(coverage, coverageScenario())
detectorContract(egressAnomaly, egressScenario())
detectorContract(extractionRing, await ringScenario(traffic))
detectorContract(extractionSweep, await extractionScenario(traffic))
detectorContract(generationAbuse, generationScenario())
detectorContract(modelLeakage, await leakageScenario(traffic))
detectorContract(nearDuplicateProbing, await nearDuplicateScenario(traffic))
detectorContract(promptSearch, promptSearchScenario())
await traffic.close()

it('every registered detector is held to the contract', () => {
  const held = [
    coverage,
    egressAnomaly,
    extractionRing,
    extractionSweep,
    modelLeakage,
    nearDuplicateProbing,
    generationAbuse,
    promptSearch,
  ].map(({ id }) => id)
  assert.deepEqual(detectors.map(({ id }) => id).sort(), held.sort())
})
