import { setTimeout as delay } from 'node:timers/promises'
import { BusError } from '../errors.ts'
import { Pause } from '../pause.ts'
import type { Place } from '../sharing.ts'
import { assign, decodeAssignment, encodeSubscription, protocolName, type Subscription, topicsOf } from './assigner.ts'
import type { Brokers } from './brokers.ts'
import { isBroken, NoAnswer, typeOf } from './failures.ts'
import { Outage } from './outage.ts'

export interface MembershipOptions {
  /** For joining: what waits on these connections blocks them. */
  readonly joining: Brokers
  /** For everything else. */
  readonly brokers: Brokers
  readonly groupId: string
  readonly sessionMs: number
  readonly requestMs: number
  /** How long a commit goes on trying. */
  readonly commitMs: number
  /** What to tell the others, without the generation. */
  readonly subscription: () => Omit<Subscription, 'generation'>
  /** The share changed, or was confirmed. Must not throw. */
  readonly onShare: (share: readonly Place[]) => void
  /** The group went on without this member: nothing that it holds is its own any more. Must not throw. */
  readonly onLost: () => void
  /** Told of what fails once, until it succeeds again. */
  readonly onError: (error: unknown) => void
}

/** Who we are in the group, at present. */
interface Standing {
  readonly memberId: string
  readonly generation: number
}

const heartbeatMs = 300
/** How often who leads the group looks whether topics have grown, and who waits in it whether its coordinator has moved. */
const lookMs = 10_000
const watchMs = 1_000
/** Least time that members have to join when the group rebalances; they do so without waiting for their handlers. */
const leastRebalanceMs = 10_000

/** The coordinator was replaced, or could not be reached: ask for the new one. */
const moved = new Set(['NOT_COORDINATOR_FOR_GROUP', 'GROUP_COORDINATOR_NOT_AVAILABLE', 'GROUP_LOAD_IN_PROGRESS', 'BROKER_NOT_AVAILABLE'])
const gone = new Set(['UNKNOWN_MEMBER_ID', 'ILLEGAL_GENERATION', 'FENCED_INSTANCE_ID'])

/**
 * A place in a consumer group. Heartbeats and rebalances go on beside whatever handlers do, and who keeps a partition
 * in a rebalance keeps working on it. kafkajs' own consumer takes everything from everyone in each rebalance, and lets
 * those wait for each other's handlers and for fetches from brokers that hang (tulios/kafkajs#1720, #1527).
 */
export class Membership {
  readonly #options: MembershipOptions
  readonly #abort = new AbortController()
  readonly #outage: Outage
  #memberId = ''
  #standing: Standing | null = null
  #coordinator: string | null = null
  /** Who was said to be the coordinator is not, or does not answer. */
  #misled = false
  /** When the coordinator was last asked something that it could only answer well to a member, by the monotonic clock. */
  #confirmedAt = Number.NEGATIVE_INFINITY
  #rejoin = Promise.withResolvers<void>()
  #running: Promise<unknown> = Promise.resolve()
  #joining = false
  #leads = false
  #shared: ReadonlyMap<string, number> = new Map()

  constructor(options: MembershipOptions) {
    this.#options = options
    this.#outage = new Outage(options.onError)
  }

  start(): void {
    this.#running = Promise.all([this.#run(), this.#beat(), this.#look()])
  }

  /** Whether the group confirmed this member within the session. */
  get confirmed(): boolean {
    return this.#standing !== null && performance.now() - this.#confirmedAt < this.#options.sessionMs
  }

  /** Has the group rebalance, so that it learns what we hold now. */
  rejoin(): void {
    this.#rejoin.resolve()
  }

  /**
   * Durable when it resolves.
   *
   * @param signal aborts when the partition was lost, and trying on makes no sense
   * @throws BusError `PARTITION_LOST`, or `BUS_UNAVAILABLE` after `commitMs`; then the offset may be committed all the same
   */
  async commit(name: string, partition: number, offset: number, signal: AbortSignal): Promise<void> {
    const { groupId, brokers, requestMs } = this.#options
    const topics = [{ topic: name, partitions: [{ partition, offset: String(offset) }] }]
    await this.#persist(async () => {
      if (this.#standing === null) throw new BusError('PARTITION_LOST', 'another member has the partition')
      const { memberId, generation } = this.#standing
      const node = await this.#findCoordinator()
      await brokers.ask(node, requestMs, (broker) => broker.offsetCommit({ groupId, groupGenerationId: generation, memberId, topics }))
    }, signal)
  }

  /**
   * The committed offset, undefined where there is none.
   *
   * @param signal aborts when it is not wanted any more
   */
  async committed(name: string, partition: number, signal: AbortSignal): Promise<number | undefined> {
    const { groupId, brokers, requestMs } = this.#options
    return this.#persist(async () => {
      const node = await this.#findCoordinator()
      const topics = [{ topic: name, partitions: [{ partition, offset: '' }] }]
      const { responses } = await brokers.ask(node, requestMs, (broker) => broker.offsetFetch({ groupId, topics }))
      const offset = Number(responses[0]?.partitions[0]?.offset ?? -1)
      return offset < 0 ? undefined : offset
    }, signal)
  }

  async #persist<T>(attempt: () => Promise<T>, signal: AbortSignal): Promise<T> {
    const until = performance.now() + this.#options.commitMs
    const pause = new Pause(500)
    for (;;) {
      const standing = this.#standing
      try {
        return await attempt()
      } catch (error) {
        const type = typeOf(error) ?? ''
        if (isBroken(error) || moved.has(type)) this.#doubt()
        // Between the group's next generation and our share in it, what we keep cannot be committed for a moment.
        else if (type !== 'REBALANCE_IN_PROGRESS' && !(type === 'ILLEGAL_GENERATION' && (this.#joining || this.#standing !== standing)))
          throw error
        if (performance.now() > until || signal.aborted) throw error
        await pause.wait(signal)
      }
    }
  }

  /** Leaves the group, where that can be told, and ends. */
  async close(): Promise<void> {
    this.#abort.abort()
    this.#rejoin.resolve()
    const { brokers, joining, groupId } = this.#options
    const { memberId } = this.#standing ?? { memberId: this.#memberId }
    if (memberId !== '' && this.#coordinator !== null)
      await brokers.ask(this.#coordinator, 2_000, (broker) => broker.leaveGroup({ groupId, memberId })).catch(() => {})
    await Promise.all([brokers.close(), joining.close()])
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort
    const pause = new Pause(1_000)
    while (!signal.aborted) {
      try {
        this.#rejoin = Promise.withResolvers()
        this.#joining = true
        const share = await this.#join().finally(() => {
          this.#joining = false
        })
        if (signal.aborted) return
        pause.reset()
        this.#options.onShare(share)
        await this.#rejoin.promise
      } catch (error) {
        if (signal.aborted) return
        this.#failed(error)
        await pause.wait(signal)
      }
    }
  }

  #failed(error: unknown): void {
    const type = typeOf(error) ?? ''
    if (gone.has(type)) this.#lose()
    else if (type !== 'REBALANCE_IN_PROGRESS') {
      if (isBroken(error) || moved.has(type)) this.#doubt()
      this.#outage.failed(error)
    }
  }

  #lose(): void {
    this.#memberId = ''
    if (this.#standing === null) return
    this.#standing = null
    this.#options.onLost()
  }

  async #join(): Promise<Place[]> {
    const { groupId, sessionMs, requestMs, subscription, joining } = this.#options
    const node = await this.#findCoordinator()
    const metadata = encodeSubscription({ ...subscription(), generation: this.#standing?.generation ?? -1 })
    const rebalanceMs = Math.max(leastRebalanceMs, sessionMs)
    const joined = await this.#whileThere(node, () =>
      joining.ask(node, rebalanceMs + requestMs, (broker) =>
        broker.joinGroup({
          groupId,
          sessionTimeout: sessionMs,
          rebalanceTimeout: rebalanceMs,
          memberId: this.#memberId,
          groupProtocols: [{ name: protocolName, metadata }],
        }),
      ),
    )
    const { memberId, generationId: generation } = joined
    this.#memberId = memberId
    this.#leads = joined.leaderId === memberId
    const groupAssignment = this.#leads ? assign(joined.members, await this.#count(joined.members)) : []
    const askedAt = performance.now()
    const { memberAssignment } = await this.#whileThere(node, () =>
      joining.ask(node, rebalanceMs + requestMs, (broker) =>
        broker.syncGroup({ groupId, generationId: generation, memberId, groupAssignment }),
      ),
    )
    this.#standing = { memberId, generation }
    this.#confirmedAt = Math.max(this.#confirmedAt, askedAt)
    return decodeAssignment(memberAssignment)
  }

  /** Partitions by topic, of every topic that a member reads. */
  async #count(members: Parameters<typeof assign>[0]): Promise<ReadonlyMap<string, number>> {
    const { brokers } = this.#options
    const names = topicsOf(members)
    await brokers.follow(names)
    // What is known already is good enough for now.
    await brokers.refresh().catch(() => {})
    this.#shared = new Map(names.map((name) => [name, brokers.partitionsOf(name).length]))
    return this.#shared
  }

  /** A join waits for the other members, and longer than needed for a coordinator that hangs: so it is watched. */
  async #whileThere<T>(node: string, request: () => Promise<T>): Promise<T> {
    const over = new AbortController()
    const watch = async (): Promise<never> => {
      for (;;) {
        await delay(watchMs, undefined, { signal: over.signal })
        const now = await this.#options.brokers.coordinatorOf(this.#options.groupId).catch(() => node)
        if (now !== node) throw new NoAnswer(`the group's coordinator moved from broker ${node} to ${now}`)
      }
    }
    const watching = watch()
    watching.catch(() => {})
    try {
      return await Promise.race([request(), watching])
    } finally {
      over.abort()
    }
  }

  async #findCoordinator(): Promise<string> {
    if (this.#coordinator !== null) return this.#coordinator
    const { brokers, groupId } = this.#options
    const elsewhere = this.#misled
    this.#misled = false
    const found = await brokers.coordinatorOf(groupId, elsewhere)
    this.#coordinator = found
    return found
  }

  #doubt(): void {
    this.#coordinator = null
    this.#misled = true
  }

  async #beat(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      await delay(heartbeatMs, undefined, { signal }).catch(() => {})
      if (this.#standing === null || signal.aborted) continue
      await this.#beatOnce(this.#standing)
    }
  }

  async #beatOnce(standing: Standing): Promise<void> {
    const { brokers, groupId, sessionMs, requestMs } = this.#options
    const askedAt = performance.now()
    try {
      const node = await this.#findCoordinator()
      const { memberId, generation } = standing
      await brokers.ask(node, Math.min(requestMs, sessionMs / 3), (broker) =>
        broker.heartbeat({ groupId, groupGenerationId: generation, memberId }),
      )
      this.#confirmedAt = Math.max(this.#confirmedAt, askedAt)
      this.#outage.over()
    } catch (error) {
      if (this.#abort.signal.aborted) return
      const type = typeOf(error) ?? ''
      if (type === 'REBALANCE_IN_PROGRESS') {
        // The group still waits for us to join again, so what we have nobody else has been given.
        this.#confirmedAt = Math.max(this.#confirmedAt, askedAt)
        if (this.#standing === standing && !this.#joining) this.rejoin()
      } else if (gone.has(type)) {
        // An answer to an earlier standing says nothing of the present one.
        if (this.#standing !== standing || (type === 'ILLEGAL_GENERATION' && this.#joining)) return
        this.#lose()
        this.rejoin()
      } else {
        this.#doubt()
        this.#outage.failed(error)
      }
    }
  }

  /** Topics that grew have partitions that nobody was given. */
  async #look(): Promise<void> {
    const { signal } = this.#abort
    while (!signal.aborted) {
      await delay(lookMs, undefined, { signal }).catch(() => {})
      if (!this.#leads || signal.aborted) continue
      const { brokers } = this.#options
      await brokers.refresh().catch(() => {})
      if ([...this.#shared].some(([name, count]) => brokers.partitionsOf(name).length > count)) this.rejoin()
    }
  }
}
