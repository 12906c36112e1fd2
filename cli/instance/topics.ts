import { refusal } from '../../bus/plan.ts'
import type { EventBus, TopicConfig } from '../../bus/port.ts'
import { type RoleName, roles, snapshotTopic, type TopicSpec, topics } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'

/**
 * Every topic as this configuration wants it.
 *
 * @throws CliError `CONFIG_INVALID` where `bus.partitions` names no topic, or gives several to one whose writers a term fences
 */
export function topicConfigs({ bus }: Config): TopicConfig[] {
  const specs: readonly (TopicSpec | typeof snapshotTopic)[] = [...(Object.values(topics) as TopicSpec[]), snapshotTopic]
  for (const [name, partitions] of Object.entries(bus.partitions)) {
    if (!specs.some((spec) => spec.name === name)) {
      throw new CliError('CONFIG_INVALID', `bus.partitions.${name}: no such topic; there are ${specs.map((spec) => spec.name).join(', ')}`)
    }
    if (partitions > 1 && isOrdered(name)) {
      throw new CliError('CONFIG_INVALID', `bus.partitions.${name}: has one partition, since the order of all of its records counts`)
    }
  }
  return specs.map((spec) => {
    const { name, retentionMs, timestamps, minCompactionLagMs }: Omit<TopicConfig, 'partitions'> = spec
    return {
      name,
      partitions: bus.partitions[name] ?? spec.partitions,
      retentionMs,
      ...(timestamps === undefined ? {} : { timestamps }),
      ...(minCompactionLagMs === undefined ? {} : { minCompactionLagMs }),
    }
  })
}

/** A term counts from one offset on: see {@link Term}. */
function isOrdered(name: string): boolean {
  const spec = (Object.values(topics) as TopicSpec[]).find((each) => each.name === name)
  return spec !== undefined && (spec.fenced === true || name === 'outcomes')
}

/**
 * Refuses to start a role whose topics are not there or are otherwise than configured. It looks at no others: its
 * credential may not see them.
 *
 * @throws CliError `START_FAILED`; BusError `TOPIC_MISMATCH`
 */
export async function checkTopics(bus: EventBus, config: Config, role: RoleName): Promise<void> {
  const used = new Set<string>([...roles[role].reads, ...roles[role].writes])
  const plans = await bus.planTopics(topicConfigs(config).filter(({ name }) => used.has(name)))
  const missing = plans.filter(({ state }) => state === 'missing').map(({ topic }) => topic)
  if (missing.length > 0) {
    const which = missing.map((topic) => config.bus.prefix + topic).join(', ')
    throw new CliError(
      'START_FAILED',
      `these topics are missing, or ${role} may not see them: ${which}. Run \`cordon topics apply\`, and \`cordon topics acls --role ${role}\` for the rights`,
    )
  }
  const refused = refusal(plans, (topic) => config.bus.prefix + topic)
  if (refused !== null) throw refused
}
