import type { EventBus } from '../../bus/port.ts'
import { Config } from '../../cli/config/schema.ts'
import { configuredDetectors } from '../../cli/instance/roles/detect.ts'
import { topicsObserved } from '../../pipeline/host/input.ts'
import { replay } from '../../pipeline/replay.ts'
import type { Finding } from '../../schemas/index.ts'

/** Every finding, by `id/revision`, that a host which was never disturbed makes of a log under the default configuration. */
export async function undisturbed(bus: EventBus): Promise<ReadonlyMap<string, Finding>> {
  const config = Config.parse({})
  const { latenessMs, skewMs } = config.detection
  const detectors = configuredDetectors(config)
  const found = new Map<string, Finding>()
  for await (const finding of replay({ bus, detectors, topics: topicsObserved(detectors), latenessMs, skewMs })) {
    found.set(`${finding.id}/${finding.revision}`, finding)
  }
  return found
}
