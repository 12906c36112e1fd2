import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { EventBus } from '../../bus/port.ts'
import { detectors } from '../../detectors/registry.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { type DetectorHost, startDetectorHost } from '../../pipeline/host/shell.ts'
import type { Instant } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'

export interface DetectionParts {
  readonly config: Config
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  readonly source: string
}

export function startDetection({ config, bus, clock, registry, log, source }: DetectionParts): Promise<DetectorHost> {
  const { tickMs, latenessMs, snapshotEvents, snapshotMs } = config.detection
  return startDetectorHost({
    bus,
    detectors: configuredDetectors(config),
    snapshotEvery: { events: snapshotEvents, ms: snapshotMs },
    clock,
    registry,
    log,
    tickMs,
    latenessMs,
    source,
  })
}

/**
 * The detectors that the configuration leaves on, with their parameters.
 *
 * @throws CliError `CONFIG_INVALID`, naming the detector and the parameter
 */
export function configuredDetectors(config: Config): readonly HostedDetector[] {
  for (const id of Object.keys(config.detectors)) {
    if (!detectors.some((definition) => definition.id === id)) {
      throw new CliError('CONFIG_INVALID', `detectors.${id}: no such detector; there are ${detectors.map((d) => d.id).join(', ')}`)
    }
  }
  return detectors
    .filter((definition) => config.detectors[definition.id]?.enabled !== false)
    .map((definition) => {
      const params = definition.params.safeParse(config.detectors[definition.id]?.params ?? {})
      if (params.success) return { definition, params: params.data }
      const issue = params.error.issues[0]
      throw new CliError(
        'CONFIG_INVALID',
        `detectors.${definition.id}.params.${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`,
      )
    })
}
