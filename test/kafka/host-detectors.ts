import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import { herald, hosted } from '../pipeline/host-toys.ts'

/** One that holds a state for each workload, and one that always has something to say. */
export const flowDetectors = [hosted({ ...egressAnomaly, maxKeys: 200_000 }), hosted(herald)]
