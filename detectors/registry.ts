import type { z } from 'zod'
import type { DetectorDefinition } from './contract.ts'
import { coverage } from './coverage/coverage.ts'
import { egressAnomaly } from './egress-anomaly/egress-anomaly.ts'
import { extractionRing } from './extraction-ring/extraction-ring.ts'
import { extractionSweep } from './extraction-sweep/extraction-sweep.ts'
import { generationAbuse } from './generation-abuse/generation-abuse.ts'
import { modelLeakage } from './model-leakage/model-leakage.ts'
import { nearDuplicateProbing } from './near-duplicate-probing/near-duplicate-probing.ts'
import { promptSearch } from './prompt-search/prompt-search.ts'

/**
 * Forgets a definition's own types, so that different ones fit one array; `start` then parses what it is given.
 * `params` must accept what it put out (conformance checks it), since a host parses before it starts.
 */
export function listed<P extends z.ZodType, S extends z.ZodType>(definition: DetectorDefinition<P, S>): DetectorDefinition {
  return { ...definition, start: (params) => definition.start(definition.params.parse(params)) }
}

/** Every detector there is. One line each; the host runs those that the configuration names. */
export const detectors: readonly DetectorDefinition[] = [
  listed(coverage),
  listed(egressAnomaly),
  listed(extractionRing),
  listed(extractionSweep),
  listed(generationAbuse),
  listed(modelLeakage),
  listed(nearDuplicateProbing),
  listed(promptSearch),
]
