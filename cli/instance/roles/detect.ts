import { detectors } from '../../../detectors/registry.ts'
import type { HostedDetector } from '../../../pipeline/host/hosted.ts'
import { startDetectorHost } from '../../../pipeline/host/shell.ts'
import type { Config } from '../../config/schema.ts'
import { CliError } from '../../errors.ts'
import type { Context } from '../context.ts'
import { watchInstances } from '../instances.ts'

/** The detectors, on the partitions that the group gives to this process, and in the shadow of those of others. */
export async function runDetect(context: Context): Promise<void> {
  const { config, bus, clock, registry, log, closers, instance } = context
  const { tickMs, latenessMs, skewMs, snapshotEvents, snapshotMs, objectiveMs, standby, standbyMs } = config.detection
  const instances = watchInstances(await context.heartbeats(), clock)
  closers.add('instances', () => instances.close())
  const host = await startDetectorHost({
    bus,
    detectors: configuredDetectors(config),
    snapshotEvery: { events: snapshotEvents, ms: snapshotMs },
    clock,
    registry,
    log,
    tickMs,
    latenessMs,
    skewMs,
    objectiveMs,
    instance,
    source: instance,
    standby: standby ? { afterMs: standbyMs } : null,
    // As they were heard: one with a clock that is ahead would seem alive long after its end.
    neighbours: () => instances.list().flatMap((each) => (each.role === 'detect' && each.alive ? [{ ...each, at: each.heardAt }] : [])),
  })
  closers.add('detectors', () => host.close())
  await context.heart('detect', () => {
    const assignments = host.assignments()
    const { keys, oldestSnapshotMs } = host.state()
    const mine = assignments.filter(({ standby: follows }) => !follows)
    const behind = mine.reduce((worst, { lagMs }) => Math.max(worst, lagMs), 0)
    return {
      ok: behind <= objectiveMs,
      summary:
        `${mine.length} partitions, following ${assignments.length - mine.length} of others` +
        (behind <= objectiveMs ? '' : `; ${Math.round(behind / 1_000)} s behind, and what comes late is stated as a gap`),
      assignments: [...assignments],
      snapshotAgeMs: oldestSnapshotMs,
      detail: { keys },
    }
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
