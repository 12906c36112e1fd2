import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import kafkajs, { type Broker, type Cluster, type ISocketFactory } from 'kafkajs'
import { BusError } from '../errors.ts'
import { createClient, type KafkaBusOptions } from './client.ts'
import type { Complaints } from './complaints.ts'
import { isBroken, NoAnswer, typeOf } from './failures.ts'
import { allowLeaderless } from './leaderless.ts'
import type { NodeBroker } from './node-broker.ts'

/** Most that a question about the cluster itself may take: the next broker is asked then. */
const lookMs = 3_000
/** An answer, or how the last of those that were asked failed. */
type Asked<T> = { readonly answered: true; readonly answer: T } | { readonly answered: false; readonly failure: unknown }

/** What kafkajs is told of connections that are ended here. */
const givenUp = 'the connection was given up'

/**
 * Connections to the brokers, and what they know of each other: who leads which partition, who coordinates which group.
 *
 * kafkajs keeps to a broker that hangs: its requests time out one after another, and its refreshes of metadata may ask
 * just that one. So everything goes through {@link ask}, which gives up after a time, drops a broker that does not answer
 * with all that waits for it, and has the others asked from then on.
 *
 * kafkajs has no reader without a group and no producer that resends only what failed, but its public types have the
 * cluster (it is handed to partition assigners) and the broker's requests. Brokers answer the requests of a connection
 * in turn, so what waits long (fetches, joins) has connections of its own.
 */
export class Brokers {
  readonly #options: KafkaBusOptions
  readonly #complaints: Complaints
  readonly #names = new Set<string>()
  readonly #sockets = new Set<Socket>()
  #cluster: Cluster
  #turn = 0
  #closed = false
  #renewing: Promise<void> | null = null
  #refreshing: Promise<void> | null = null

  constructor(options: KafkaBusOptions, complaints: Complaints) {
    this.#options = options
    this.#complaints = complaints
    this.#cluster = this.#makeCluster()
  }

  /** Connects to one of the brokers; tries each once. */
  async connect(): Promise<void> {
    this.#assertOpen()
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = null
    })
    await this.#renewing
  }

  /** Has the leaders of the topics' partitions, which exist, known from now on. */
  async follow(names: readonly string[]): Promise<void> {
    const news = names.filter((name) => !this.#names.has(name))
    if (news.length === 0) return
    for (const name of news) this.#names.add(name)
    try {
      await within(lookMs, this.#cluster.addMultipleTargetTopics([...this.#names]), 'looking for topics')
    } catch (error) {
      for (const name of news) this.#names.delete(name)
      if (isBroken(error)) await this.connect()
      // A broker that was asked before it heard of them.
      if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') throw new NoAnswer(`no broker asked knows the topics ${news.join(', ')} yet`)
      throw error
    }
  }

  /** Asks who leads what; calls during one refresh share it. */
  async refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = null
    })
    await this.#refreshing
  }

  /** Numbers of the topic's partitions, as far as they are known. */
  partitionsOf(name: string): number[] {
    try {
      return this.#cluster
        .findTopicPartitionMetadata(name)
        .map(({ partitionId }) => partitionId)
        .sort((a, b) => a - b)
    } catch {
      return []
    }
  }

  /** The broker that leads a partition, null where none is known. */
  leaderOf(name: string, partition: number): string | null {
    try {
      const leader = this.#cluster.findTopicPartitionMetadata(name).find(({ partitionId }) => partitionId === partition)?.leader
      return leader === undefined || leader < 0 ? null : String(leader)
    } catch {
      return null
    }
  }

  /**
   * One request to one broker.
   *
   * @throws NoAnswer after `withinMs`; then, and where the connection failed, the broker's connections are dropped
   */
  async ask<T>(node: string, withinMs: number, request: (broker: NodeBroker) => Promise<T>): Promise<T> {
    this.#assertOpen()
    if (!this.#cluster.getNodeIds().map(String).includes(node)) await this.connect()
    const cluster = this.#cluster
    let broker: Broker | undefined
    try {
      broker = await within(Math.min(withinMs, lookMs), cluster.findBroker({ nodeId: node }), `connecting to broker ${node}`)
      const answer = await within(withinMs, request(broker as NodeBroker), `broker ${node}`)
      this.#complaints.heard(addressOf(broker))
      return answer
    } catch (error) {
      if (isBroken(error)) this.#drop(cluster, broker)
      throw error
    }
  }

  /** One request to whichever broker answers. */
  async askAny<T>(withinMs: number, request: (broker: NodeBroker) => Promise<T>): Promise<T> {
    let failure: unknown
    for (let tries = 0; tries < 2; tries++) {
      const tried = await this.#askInTurn(this.#cluster.getNodeIds().map(String), withinMs, request)
      if (tried.answered) return tried.answer
      failure = tried.failure
      await this.connect()
    }
    throw failure
  }

  /** One request to the first of these brokers that answers. */
  async #askInTurn<T>(nodes: readonly string[], withinMs: number, request: (broker: NodeBroker) => Promise<T>): Promise<Asked<T>> {
    const first = this.#turn
    let failure: unknown
    for (const [index] of nodes.entries()) {
      try {
        return { answered: true, answer: await this.ask(nodes[(first + index) % nodes.length] ?? '', withinMs, request) }
      } catch (error) {
        if (!isBroken(error)) throw error
        failure = error
        this.#turn++
      }
    }
    return { answered: false, failure }
  }

  /** The same request to every broker of the cluster that can be reached. */
  async askEach<T>(withinMs: number, request: (broker: NodeBroker) => Promise<T>): Promise<T[]> {
    const answers = await Promise.allSettled(this.#cluster.getNodeIds().map((node) => this.ask(String(node), withinMs, request)))
    const given = answers.filter((answer) => answer.status === 'fulfilled').map(({ value }) => value)
    const refused = answers.find((answer) => answer.status === 'rejected' && (given.length === 0 || !isBroken(answer.reason)))
    if (refused?.status === 'rejected') throw refused.reason
    return given
  }

  /**
   * Has others than the leaders say that they still lead. One that hung, or that the others cannot reach, takes itself
   * for the leader until it hears of its successor, and says that the log ends where it last did. kafkajs knows no
   * leader epochs, by which it would be refused. Where no other broker answers, the leaders' own word has to do.
   *
   * @throws Error where another leads by now
   */
  async confirmLeaders(name: string, partitions: readonly number[]): Promise<void> {
    const byLeader = Map.groupBy(partitions, (partition) => this.leaderOf(name, partition))
    await Promise.all(
      [...byLeader].map(async ([leader, led]) => {
        const nodes = this.#cluster.getNodeIds().map(String)
        const asked = await this.#askInTurn(
          nodes.filter((node) => node !== leader),
          lookMs,
          (broker) => broker.metadata([name]),
        )
        if (!asked.answered) return
        const known = asked.answer.topicMetadata.find(({ topic }) => topic === name)?.partitionMetadata ?? []
        const lost = known.find((each) => led.includes(each.partitionId) && String(each.leader) !== leader)
        if (lost !== undefined) throw new Error(`broker ${leader} leads ${name}/${lost.partitionId} no more`)
      }),
    )
  }

  /** @param elsewhere ask another broker than last time: one that lags behind in the cluster's metadata would say the same again */
  async coordinatorOf(groupId: string, elsewhere = false): Promise<string> {
    if (elsewhere) this.#turn++
    const { coordinator } = await this.askAny(lookMs, (broker) => broker.findGroupCoordinator({ groupId, coordinatorType: 0 }))
    const node = String(coordinator.nodeId)
    if (!this.#cluster.getNodeIds().map(String).includes(node)) await this.refresh()
    return node
  }

  /** Ends every connection; what waits for an answer fails, and what is tried again fails for good. */
  async close(): Promise<void> {
    this.#closed = true
    this.#end(this.#sockets)
    await within(1_000, this.#cluster.disconnect(), 'disconnecting').catch(() => {})
  }

  /** Who tries again would not notice otherwise: to kafkajs it looks like brokers that are away. */
  #assertOpen(): void {
    if (this.#closed) throw new BusError('BUS_CLOSED', 'the connections to the brokers are closed')
  }

  async #refresh(): Promise<void> {
    this.#assertOpen()
    try {
      await within(lookMs, this.#cluster.refreshMetadata(), 'asking for the leaders')
    } catch (error) {
      if (!isBroken(error)) throw error
      await this.connect()
    }
  }

  /** A fresh start: the old connections are given up. */
  async #renew(): Promise<void> {
    let failure: unknown = new NoAnswer('connecting')
    for (let tries = 0; tries < this.#options.brokers.length && !this.#closed; tries++) {
      this.#end(this.#sockets)
      const cluster = this.#makeCluster()
      try {
        await within(lookMs, cluster.connect(), 'connecting')
        await within(lookMs, cluster.addMultipleTargetTopics([...this.#names]), 'asking for the leaders')
        this.#cluster = cluster
        return
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  #drop(cluster: Cluster, broker: Broker | undefined): void {
    const address = poolOf(broker)
    if (address === undefined) return
    this.#end([...this.#sockets].filter((socket) => addresses.get(socket) === `${address.host}:${address.port}`))
    try {
      cluster.removeBroker(address)
    } catch {
      // It was the last one known; the next refresh begins with the seeds.
    }
  }

  /** kafkajs fails all that waits for a connection when that ends with an error, and only then. */
  #end(sockets: Iterable<Socket>): void {
    for (const socket of [...sockets]) socket.destroy(new Error(givenUp))
  }

  #makeCluster(): Cluster {
    const { brokers } = this.#options
    const first = this.#turn++ % Math.max(1, brokers.length)
    const kafka = createClient(
      { ...this.#options, brokers: [...brokers.slice(first), ...brokers.slice(0, first)] },
      this.#socketFactory(),
      (message, fields) => this.#complain(message, fields),
    )
    let found: Cluster | undefined
    kafka.consumer({
      // Never joined, so the name never reaches a broker.
      groupId: 'none',
      allowAutoTopicCreation: false,
      retry: { retries: 0 },
      partitionAssigners: [
        (context) => {
          found = context.cluster
          return kafkajs.PartitionAssigners.roundRobin(context)
        },
      ],
    })
    if (found === undefined) throw new Error('kafkajs made no cluster for a consumer')
    allowLeaderless(found)
    return found
  }

  /** What ends here on purpose is told to whoever waits for it, where it matters. */
  #complain(message: string, fields: object): void {
    // And what a broker answered is told to whoever asked.
    if (this.#closed || message.includes(givenUp) || 'correlationId' in fields) return
    this.#complaints.note('broker' in fields ? String(fields.broker) : '', message, fields)
  }

  #socketFactory(): ISocketFactory {
    return ({ host, port, ssl, onConnect }) => {
      const name = isIP(host) === 0 ? { servername: host } : {}
      const socket = ssl ? connectTls({ host, port, ...name, ...ssl }, onConnect) : connectPlain({ host, port }, onConnect)
      socket.setKeepAlive(true, 60_000)
      socket.setNoDelay(true)
      addresses.set(socket, `${host}:${port}`)
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      if (this.#closed) this.#end([socket])
      return socket
    }
  }
}

const addresses = new WeakMap<Socket, string>()

/** kafkajs keeps the address here and does not say so in its types. */
function poolOf(broker: Broker | undefined): { readonly host: string; readonly port: number } | undefined {
  return (broker as { connectionPool?: { host: string; port: number } } | undefined)?.connectionPool
}

function addressOf(broker: Broker): string {
  const { host = '', port = 0 } = poolOf(broker) ?? {}
  return `${host}:${port}`
}

/** @throws NoAnswer where `promise` does not settle in time; what it comes to later is nobody's any more */
async function within<T>(milliseconds: number, promise: Promise<T>, what: string): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new NoAnswer(`${what}: no answer within ${milliseconds} ms`)), milliseconds)
  promise.catch(() => {})
  try {
    return await Promise.race([promise, late.promise])
  } finally {
    clearTimeout(timer)
  }
}
