import { type RoleName, roles, snapshotTopic, topics } from '../../schemas/index.ts'

/** A right to give: one operation of one principal on one topic or group. */
export interface AclEntry {
  readonly role: RoleName
  /** As Kafka has it, such as `User:cordon-node`. */
  readonly principal: string
  readonly resource: 'topic' | 'group'
  /** With the prefix; exactly this one (pattern type literal). */
  readonly name: string
  readonly operation: 'Read' | 'Write' | 'Describe' | 'DescribeConfigs'
}

export interface AclOptions {
  /** That of every topic and group, see `bus.prefix`. */
  readonly prefix: string
  /** Default: every role. */
  readonly roles?: readonly RoleName[]
  /** Who a role connects as; `User:cordon-<role>` where it is not said. */
  readonly principals?: Partial<Readonly<Record<RoleName, string>>>
}

type Right = Pick<AclEntry, 'resource' | 'name' | 'operation'>

/**
 * The least that each role's principal needs, with an authorizer that refuses what nothing allows. Read and Write bring
 * Describe with them; DescribeConfigs lets a role see that its topics are as configured before it trusts them.
 */
export function aclsOf({ prefix, roles: only = [], principals = {} }: AclOptions): AclEntry[] {
  const chosen = (Object.keys(roles) as RoleName[]).filter((role) => only.length === 0 || only.includes(role))
  return chosen.flatMap((role) => {
    const principal = principals[role] ?? `User:cordon-${role}`
    return rightsOf(role).map((right) => ({ role, principal, ...right, name: prefix + right.name }))
  })
}

function rightsOf(role: RoleName): Right[] {
  const { reads, writes, groups, describesAll } = roles[role]
  const topic = (operation: AclEntry['operation']) => (name: string) => ({ resource: 'topic', name, operation }) as const
  const group = (operation: AclEntry['operation']) => (name: string) => ({ resource: 'group', name, operation }) as const
  const described = describesAll ? [...Object.keys(topics), snapshotTopic.name] : []
  const used = new Set<string>([...writes, ...reads])
  return [
    ...writes.map(topic('Write')),
    ...reads.map(topic('Read')),
    ...described.filter((name) => !used.has(name)).map(topic('Describe')),
    ...[...new Set([...used, ...described])].map(topic('DescribeConfigs')),
    ...groups.map(group('Read')),
    ...(describesAll ? [...new Set(Object.values(roles).flatMap((each) => each.groups))].map(group('Describe')) : []),
  ]
}

/** The entries as calls of Kafka's own tool, one for each principal and operation. */
export function aclCommands(entries: readonly AclEntry[], brokers: readonly string[]): string[] {
  const call = `kafka-acls.sh --bootstrap-server ${quoted(brokers.length === 0 ? 'BROKER:9092' : brokers.join(','))} --command-config admin.properties --add`
  const calls = Map.groupBy(entries, ({ principal, resource, operation }) => `${principal}\n${resource}\n${operation}`)
  return [...calls.values()].map((same) => {
    const [{ principal, resource, operation }] = same as [AclEntry]
    const names = [...new Set(same.map(({ name }) => name))].map((name) => ` --${resource} ${quoted(name)}`).join('')
    return `${call} --allow-principal ${quoted(principal)} --operation ${operation}${names}`
  })
}

function quoted(word: string): string {
  return /^[\w.,:@/-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
