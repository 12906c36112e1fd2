import type { EventBus } from '../../bus/port.ts'
import { Config } from '../../cli/config/schema.ts'
import { configuredDetectors } from '../../cli/instance/roles/detect.ts'
import { topicsObserved } from '../../pipeline/host/input.ts'
import { replay } from '../../pipeline/replay.ts'
import type { Finding } from '../../schemas/index.ts'

/** What is read of a log again. */
type Log = Pick<EventBus, 'offsetsAt' | 'partitions' | 'read'>

export interface Comparison {
  /** By `id/revision`. */
  readonly expected: ReadonlyMap<string, Finding>
  readonly missing: readonly Finding[]
  /** Those of `stated` that nothing on the log gives rise to. */
  readonly extra: readonly string[]
}

/**
 * Findings against those of a host that nothing disturbed, over the same log, which must stand still. Detectors that stop may
 * leave records that they have not applied, their own ticks among them: what comes of those the next ones state.
 *
 * @param stated `id/revision` of each that came of records
 */
export async function compareFindings(bus: EventBus, stated: ReadonlySet<string>): Promise<Comparison> {
  const expected = await undisturbed(await upToCommitted(bus, 'detect'))
  const early = [...stated].filter((id) => !expected.has(id))
  // Stated is sooner than committed.
  const all = early.length === 0 ? expected : await undisturbed(bus)
  return {
    expected,
    missing: [...expected].flatMap(([id, finding]) => (stated.has(id) ? [] : [finding])),
    extra: early.filter((id) => !all.has(id)),
  }
}

/** Every finding that such a host makes under the default configuration. */
async function undisturbed(bus: Log): Promise<ReadonlyMap<string, Finding>> {
  const config = Config.parse({})
  const { latenessMs, skewMs } = config.detection
  const detectors = configuredDetectors(config)
  const found = new Map<string, Finding>()
  for await (const finding of replay({ bus, detectors, topics: topicsObserved(detectors), latenessMs, skewMs })) {
    found.set(`${finding.id}/${finding.revision}`, finding)
  }
  return found
}

async function upToCommitted(bus: EventBus, group: string): Promise<Log> {
  const reached = new Map((await bus.groups()).flatMap((g) => (g.group === group ? [[`${g.topic}/${g.partition}`, g.committed]] : [])))
  return {
    offsetsAt: (topic, at) => bus.offsetsAt(topic, at),
    read: (topic, partition, from, until) => bus.read(topic, partition, from, until),
    partitions: async (topic) =>
      (await bus.partitions(topic)).map((state) => ({ ...state, end: reached.get(`${topic}/${state.partition}`) ?? state.start })),
  }
}
