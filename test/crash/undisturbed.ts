import { join } from 'node:path'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { Config } from '../../cli/config/schema.ts'
import { configuredDetectors } from '../../cli/instance/roles/detect.ts'
import { topicsObserved } from '../../pipeline/host/input.ts'
import { replay } from '../../pipeline/replay.ts'

/** Every finding, as `id/revision`, that a host which was never disturbed makes of the log in a data directory. */
export async function undisturbed(dataDir: string): Promise<Set<string>> {
  const config = Config.parse({})
  const bus = await createEmbeddedBus({ path: join(dataDir, 'log') })
  try {
    const found = new Set<string>()
    const detectors = configuredDetectors(config)
    for await (const finding of replay({ bus, detectors, topics: topicsObserved(detectors), latenessMs: config.detection.latenessMs }))
      found.add(`${finding.id}/${finding.revision}`)
    return found
  } finally {
    await bus.close()
  }
}
