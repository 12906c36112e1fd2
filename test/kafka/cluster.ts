import { randomBytes } from 'node:crypto'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import kafkajs, { type KafkaConfig } from 'kafkajs'
import { prepareJava, runTool } from './java.ts'
import { KafkaNode } from './node.ts'
import { fixedPorts } from './ports.ts'
import { type SecurePorts, Security } from './security.ts'
import { brokerSettings } from './settings.ts'

export interface ClusterOptions {
  /** Default 3: then records have 3 copies, 2 of which must be in sync. */
  readonly brokers?: number
  /** Settings of every broker over those of brokerSettings, such as `log.retention.check.interval.ms`. */
  readonly settings?: Readonly<Record<string, string>>
  /** TLS everywhere, SCRAM-SHA-512 at `brokers`, mutual TLS at `security.mutualBrokers`, and ACLs that are enforced. */
  readonly security?: {
    /** Users without any rights yet. */
    readonly users: readonly string[]
  }
}

/** A real cluster of Apache Kafka in KRaft mode on this machine, for tests to break. */
export interface Cluster {
  /** host:port of every broker; they stay the same from start to start. */
  readonly brokers: readonly string[]
  /** Broker `id` is `nodes[id - 1]`. */
  readonly nodes: readonly KafkaNode[]
  /** Null where it is open to everyone, without TLS. */
  readonly security: Security | null
  /** The id of the running broker that leads the controllers; waits while they elect one, for up to 30 s. */
  controller(): Promise<number>
  /**
   * Resolves when every broker that runs is a member and every partition has a leader and all those brokers' copies in sync.
   *
   * @throws Error saying what is missing after `timeoutMs` (default 60 s)
   */
  waitReady(timeoutMs?: number): Promise<void>
  /** Kills every broker and removes their data. */
  stop(): Promise<void>
}

/**
 * Starts brokers, each its own process with a port of its own that it keeps.
 *
 * @throws Error where Java 17 or Maven is missing, or a broker does not start, saying why
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  await prepareJava()
  const directory = await mkdtemp(join(tmpdir(), 'cordon-kafka-'))
  const ports = await portsFor(options.brokers ?? 3)
  const security = options.security === undefined ? null : await Security.create(directory, options.security.users, ports)
  const nodes = await Promise.all(
    ports.map(async (own, i) => {
      const node = new KafkaNode(i + 1, `127.0.0.1:${own.client}`, join(directory, String(i + 1)))
      await node.configure({ ...brokerSettings(node.id, ports, '127.0.0.1'), ...security?.settings(own), ...options.settings })
      return node
    }),
  )
  const cluster = new LocalCluster(directory, nodes, security)
  try {
    await format(nodes, security?.formatArguments ?? [])
    await Promise.all(nodes.map((node) => node.start()))
    await cluster.waitReady()
  } catch (error) {
    await cluster.stop()
    throw error
  }
  return cluster
}

async function portsFor(brokers: number): Promise<SecurePorts[]> {
  const free = await fixedPorts(3 * brokers)
  return Array.from({ length: brokers }, (_, i) => {
    const [client, controller, mutual] = free.slice(3 * i) as [number, number, number]
    return { client, controller, mutual }
  })
}

/** Formats the first one's data and copies that with an identity of its own to the others: the tool takes a second each time. */
async function format(nodes: readonly KafkaNode[], more: readonly string[]): Promise<void> {
  const [first, ...others] = nodes
  if (first === undefined) throw new RangeError('a cluster has one broker at least')
  const id = randomBytes(16).toString('base64url')
  // With =, for an id may begin with a dash.
  await runTool('kafka.tools.StorageTool', ['format', `--cluster-id=${id}`, '-c', first.propertiesFile, ...more])
  const meta = await readFile(join(first.dataDirectory, 'meta.properties'), 'utf8')
  for (const node of others) {
    await cp(first.dataDirectory, node.dataDirectory, { recursive: true })
    const own = meta
      .replace(/^node\.id=.*$/m, `node.id=${node.id}`)
      .replace(/^directory\.id=.*$/m, `directory.id=${randomBytes(16).toString('base64url')}`)
    await writeFile(join(node.dataDirectory, 'meta.properties'), own)
  }
}

class LocalCluster implements Cluster {
  readonly nodes: readonly KafkaNode[]
  readonly #directory: string
  readonly security: Security | null

  constructor(directory: string, nodes: readonly KafkaNode[], security: Security | null) {
    this.#directory = directory
    this.nodes = nodes
    this.security = security
  }

  get brokers(): readonly string[] {
    return this.nodes.map(({ address }) => address)
  }

  async controller(): Promise<number> {
    return poll('a leader of the controllers', 30_000, async () => {
      const running = this.#running()
      const known = (await Promise.all(running.map((node) => node.leader()))).filter((leader) => leader !== null)
      const newest = known.sort((a, b) => b.epoch - a.epoch)[0]
      return newest !== undefined && running.some(({ id }) => id === newest.id) ? newest.id : null
    })
  }

  async waitReady(timeoutMs = 60_000): Promise<void> {
    const brokers = this.#running().map(({ address }) => address)
    const kafka = new kafkajs.Kafka({ ...(await this.#access()), brokers, logLevel: kafkajs.logLevel.NOTHING, retry: { retries: 0 } })
    await poll('every broker and every copy', timeoutMs, async () => {
      const admin = kafka.admin()
      try {
        await admin.connect()
        const [{ brokers: members }, { topics }] = await Promise.all([admin.describeCluster(), admin.fetchTopicMetadata()])
        const ids = this.#running().map(({ id }) => id)
        const whole = topics
          .flatMap(({ partitions }) => partitions)
          .every(({ leader, replicas, isr }) => {
            const wanted = replicas.filter((id) => ids.includes(id))
            return ids.includes(leader) && wanted.every((id) => isr.includes(id))
          })
        return ids.every((id) => members.some(({ nodeId }) => nodeId === id)) && whole ? true : null
      } finally {
        await admin.disconnect()
      }
    })
  }

  async stop(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()))
    await rm(this.#directory, { recursive: true, force: true })
  }

  async #access(): Promise<Pick<KafkaConfig, 'ssl' | 'sasl'>> {
    if (this.security === null) return {}
    return { ssl: { ca: await readFile(this.security.caFile, 'utf8') }, sasl: { mechanism: 'scram-sha-512', ...this.security.login() } }
  }

  #running(): KafkaNode[] {
    return this.nodes.filter(({ state }) => state === 'running')
  }
}

async function poll<T>(what: string, timeoutMs: number, look: () => Promise<T | null>): Promise<T> {
  const until = performance.now() + timeoutMs
  let reason: unknown
  while (performance.now() < until) {
    try {
      const found = await look()
      if (found !== null) return found
    } catch (error) {
      reason = error
    }
    await sleep(100)
  }
  throw new Error(`waited ${timeoutMs} ms for ${what}`, { cause: reason })
}
