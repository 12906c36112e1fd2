import { type Command, InvalidArgumentError } from 'commander'
import { pino } from 'pino'
import { type AclEntry, aclCommands, aclsOf } from '../../bus/kafka/acls.ts'
import type { EventBus, TopicPlan } from '../../bus/port.ts'
import type { TopicStatus } from '../../console/port.ts'
import { RoleName } from '../../schemas/index.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { openBus } from '../instance/bus.ts'
import { topicConfigs } from '../instance/topics.ts'
import { type Column, type Output, openOutput } from '../output.ts'
import { type ClientFlags, clientCommand, connect } from './client-command.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'

const listColumns: readonly Column[] = [
  { title: 'TOPIC', of: (t: TopicStatus) => t.topic },
  { title: 'PARTITION', of: (t: TopicStatus) => t.partition },
  { title: 'START', of: (t: TopicStatus) => t.start },
  { title: 'END', of: (t: TopicStatus) => t.end },
  {
    title: 'COMMITTED',
    of: (t: TopicStatus) =>
      Object.entries(t.committed)
        .map(([group, offset]) => `${group}=${offset ?? '–'}`)
        .join(' '),
  },
]

interface Difference {
  readonly topic: string
  readonly setting: string
  readonly is: string
  readonly wanted: string
}
const differenceColumns: readonly Column[] = [
  { title: 'TOPIC', of: (d: Difference) => d.topic },
  { title: 'SETTING', of: (d: Difference) => d.setting },
  { title: 'IS', of: (d: Difference) => d.is },
  { title: 'WANTED', of: (d: Difference) => d.wanted },
]

type Flags = StartFlags & { readonly json?: boolean }

export function topicsCommand(topics: Command): void {
  clientCommand(topics.command('list', { isDefault: true }).description('every partition, and how far each reader is')).action(
    async (flags: ClientFlags) => {
      const { client, output } = connect(flags)
      const { topics: found } = await client.get<{ topics: TopicStatus[] }>('/api/topics')
      output.list(found, listColumns, 'no topics')
    },
  )
  withConfigFlags(topics.command('plan').description('compare the topics with the configuration; exit status 1 where anything differs'))
    .option('--json', 'print JSON: one topic a line')
    .action(plan)
  withConfigFlags(topics.command('apply').description('create the topics that are missing; refuses where one that exists is otherwise'))
    .option('--json', 'print JSON: one topic a line')
    .action(apply)
  withConfigFlags(topics.command('acls').description('the least rights that each role needs, as calls of kafka-acls.sh'))
    .option('--role <role>', `only this one (repeatable): ${RoleName.options.join(', ')}`, collectRole, [])
    .option('--principal <role=principal>', 'who a role connects as (repeatable; default User:cordon-<role>)', collectPrincipal, {})
    .option('--json', 'print JSON: one right a line')
    .action(printAcls)
}

async function plan(flags: Flags): Promise<void> {
  await withBus(flags, async (bus, config, output) => {
    const plans = await bus.planTopics(topicConfigs(config))
    show(plans, config, output, flags.json)
    if (plans.some(({ state }) => state !== 'same')) process.exitCode = 1
  })
}

async function apply(flags: Flags): Promise<void> {
  await withBus(flags, async (bus, config, output) => {
    const wanted = topicConfigs(config)
    const before = await bus.planTopics(wanted)
    const nameOf = (topic: string) => config.bus.prefix + topic
    if (before.some(({ state }) => state === 'differs')) {
      show(before, config, output, flags.json)
      const advice = before.flatMap((topic) => remedies(topic, config))
      throw new CliError(
        'REFUSED',
        `nothing was created, since these topics are not as configured. Either way is yours to choose:\n${advice.join('\n')}`,
      )
    }
    await bus.ensureTopics(wanted)
    const made = new Set(before.filter(({ state }) => state === 'missing').map(({ topic }) => topic))
    output.list(
      wanted.map(({ name }) => ({ topic: nameOf(name), created: made.has(name) })),
      [
        { title: 'TOPIC', of: (t: { topic: string }) => t.topic },
        { title: 'DONE', of: (t: { created: boolean }) => (t.created ? 'created' : 'was there') },
      ],
      'no topics',
    )
  })
}

function printAcls(flags: Flags & { role: readonly RoleName[]; principal: Partial<Record<RoleName, string>> }): void {
  const { config } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
  const entries = aclsOf({ prefix: config.bus.prefix, roles: flags.role, principals: flags.principal })
  const byRole = Map.groupBy(entries, ({ role }) => role)
  const sections = [...byRole].map(([role, own]: [RoleName, AclEntry[]]) => `# ${role}\n${aclCommands(own, config.bus.brokers).join('\n')}`)
  const output = openOutput(flags.json === true, print)
  if (flags.json === true) output.list(entries, [], '')
  else output.one({}, sections.join('\n'))
}

/** Runs against the brokers themselves: no instance has to be up. */
async function withBus(flags: Flags, run: (bus: EventBus, config: Config, output: Output) => Promise<void>): Promise<void> {
  const { config, sources } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
  // What goes wrong is the command's own error; the client's log of each try is for those who ask.
  const log = pino({ level: sources.has('log.level') ? config.log.level : 'silent' }, pino.destination({ dest: 2, sync: true }))
  const bus = await openBus(config, log, 'cordon-topics')
  try {
    await run(bus, config, openOutput(flags.json === true, print))
  } finally {
    await bus.close()
  }
}

function show(plans: readonly TopicPlan[], { bus }: Config, output: Output, machine = false): void {
  const json = plans.map((each) => ({ ...each, topic: bus.prefix + each.topic }))
  const rows = json.flatMap(({ topic, state, settings }): Difference[] => {
    if (state === 'missing')
      return [{ topic, setting: 'topic', is: 'missing', wanted: settings.map(({ name, wanted }) => `${name}=${wanted}`).join(' ') }]
    return settings
      .filter(({ differs, is }) => differs || is === null)
      .map(({ name, is, wanted }) => ({ topic, setting: name, is: is ?? 'not visible: grant DescribeConfigs', wanted }))
  })
  if (machine) output.list(json, [], '')
  else output.list(rows, differenceColumns, `all ${plans.length} topics are as configured`)
}

/** What a person can do about each difference, a line each. */
function remedies({ topic, settings }: TopicPlan, { bus }: Config): string[] {
  const resource = `${bus.prefix}${topic}`
  return settings
    .filter(({ differs }) => differs)
    .map(({ name, is, wanted }) => {
      const setting = `${resource}: ${name} is ${is}, wanted ${wanted}`
      if (name === 'partitions') {
        const grow = Number(is) < Number(wanted) ? 'grow it with `cordon repartition`' : 'none can be taken away'
        return `${setting}: ${grow}, or set bus.partitions.${topic} to ${is}`
      }
      if (name === 'replication') return `${setting}: kafka-reassign-partitions.sh changes it, or set bus.replication to ${is}`
      const value = wanted.replace('at least ', '')
      const login = bus.ssl || bus.username !== null ? ' --command-config admin.properties' : ''
      const change = `kafka-configs.sh --bootstrap-server ${bus.brokers.join(',')}${login} --alter --entity-type topics --entity-name ${resource} --add-config ${name}=${value}`
      return `${setting}: ${change}${name === 'min.insync.replicas' ? `, or set bus.minInsyncReplicas to ${is}` : ''}`
    })
}

function collectRole(text: string, before: readonly RoleName[]): RoleName[] {
  return [...before, roleOf(text)]
}

function collectPrincipal(text: string, before: Partial<Record<RoleName, string>>): Partial<Record<RoleName, string>> {
  const [role = '', ...rest] = text.split('=')
  const principal = rest.join('=')
  // A user of mutual TLS is named by its certificate's subject, which has signs of equality in it.
  if (!/^[^:\s]+:\S/.test(principal)) throw new InvalidArgumentError('write it as role=Type:name, such as node=User:edge')
  return { ...before, [roleOf(role)]: principal }
}

function roleOf(text: string): RoleName {
  const role = RoleName.safeParse(text)
  if (!role.success) throw new InvalidArgumentError(`a role is one of ${RoleName.options.join(', ')}`)
  return role.data
}

function print(line: string): void {
  process.stdout.write(`${line}\n`)
}
