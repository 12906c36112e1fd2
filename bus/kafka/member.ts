import type { Consumer, ConsumerOptions } from '../port.ts'
import { type Place, placeKey } from '../sharing.ts'
import type { Brokers } from './brokers.ts'
import { toBusError } from './failures.ts'
import { Holding } from './holding.ts'
import { Membership } from './membership.ts'
import { persist, readOffsets } from './offsets.ts'
import { Reader } from './reader.ts'
import type { Topics } from './topics.ts'

export interface MemberContext {
  /** The member's own, closed with it: for joining the group, and for everything else. */
  readonly joining: Brokers
  readonly brokers: Brokers
  readonly topics: Topics
  /** Group id in the cluster. */
  readonly groupId: string
  readonly minBytes: number
  readonly maxWaitMs: number
  readonly requestMs: number
  readonly sessionMs: number
  /** How long commits, and finding out where to begin, go on trying. */
  readonly commitMs: number
}

/** A member of a consumer group: reads what the group gives it, and lets go of it when the group wants it back. */
export class Member implements Consumer {
  readonly #context: MemberContext
  readonly #options: ConsumerOptions
  readonly #reader: Reader
  readonly #membership: Membership
  /** What is held, or not yet let go of, by place. */
  readonly #held = new Map<string, Holding>()
  readonly #ready = Promise.withResolvers<void>()
  #share: readonly Place[] = []
  #closing: Promise<void> | null = null

  constructor(context: MemberContext, options: ConsumerOptions) {
    this.#context = context
    this.#options = options
    const { brokers, joining, topics, groupId, minBytes, maxWaitMs, requestMs, sessionMs, commitMs } = context
    const onError = (error: unknown): void => {
      const failure = toBusError(error, `consuming as ${options.group}`)
      options.onError?.(failure)
      // Only who asked can do something about it; later it may be a mistake that is being mended.
      if (failure.code === 'BUS_FORBIDDEN') this.#ready.reject(failure)
    }
    this.#reader = new Reader({ brokers, minBytes, maxWaitMs, requestMs, onError })
    const nameOf = ({ topic, partition }: Place): Place => ({ topic: topics.nameOf(topic), partition })
    this.#membership = new Membership({
      joining,
      brokers,
      groupId,
      sessionMs,
      requestMs,
      commitMs,
      subscription: () => ({
        topics: options.topics.map((topic) => topics.nameOf(topic)),
        together: options.together ?? false,
        owned: [...this.#held.values()].filter((holding) => !holding.lost).map(nameOf),
        warm: (options.warm?.() ?? []).map(nameOf),
      }),
      onShare: (share) => {
        this.#share = share.flatMap(({ topic: name, partition }) => {
          const topic = topics.topicOf(name)
          return topic === null ? [] : [{ topic, partition }]
        })
        this.#reconcile()
      },
      onLost: () => this.#lose(),
      onError,
    })
  }

  /** Resolves when the member has joined and its first share is begun. */
  async start(): Promise<void> {
    const { brokers, topics, commitMs } = this.#context
    const names = this.#options.topics.map((topic) => topics.nameOf(topic))
    await persist(brokers, commitMs, `consuming as ${this.#options.group}`, () => brokers.follow(names))
    this.#membership.start()
    await this.#ready.promise
  }

  /** Lets go of what is not ours any more, and begins what is. */
  #reconcile(): void {
    if (this.#closing !== null) return
    const share = new Set(this.#share.map(placeKey))
    for (const [key, holding] of this.#held) if (!share.has(key)) void this.#letGo(key, holding)
    const opened = this.#share.filter((place) => !this.#held.has(placeKey(place))).map((place) => this.#open(place))
    void Promise.all(opened).then(() => this.#ready.resolve())
  }

  async #letGo(key: string, holding: Holding): Promise<void> {
    if (holding.signal.aborted && !holding.lost) return
    this.#reader.remove(holding)
    await holding.close()
    if (this.#held.get(key) !== holding) return
    this.#held.delete(key)
    // What was lost the group has given away already.
    if (!holding.lost) this.#membership.rejoin()
    // It may have been given to us again meanwhile.
    this.#reconcile()
  }

  /** Resolves when the first try to begin is over. */
  async #open(place: Place): Promise<void> {
    const { topics } = this.#context
    const holding = new Holding(place, {
      name: topics.nameOf(place.topic),
      options: this.#options,
      commit: (name, offset, signal) => this.#membership.commit(name, place.partition, offset, signal),
      confirmed: () => this.#membership.confirmed,
      onIdle: () => this.#reader.nudge(),
    })
    this.#held.set(placeKey(place), holding)
    const first = Promise.withResolvers<void>()
    const begun = holding.open((given) => this.#startOf(holding, given), first.resolve)
    void begun.then((positioned) => {
      if (positioned && !holding.signal.aborted) this.#reader.add(holding)
      first.resolve()
    })
    await first.promise
  }

  /** Where a partition begins, kept inside what is there. */
  async #startOf({ name, topic, partition, signal }: Holding, given: number | undefined): Promise<number> {
    const { brokers, requestMs, commitMs } = this.#context
    const doing = `beginning ${topic}/${partition}`
    const latest = this.#options.from === 'latest'
    const offsets = persist(brokers, commitMs, doing, () => readOffsets(brokers, name, [partition], requestMs), signal)
    const [found, committed] = await Promise.all([offsets, given ?? this.#membership.committed(name, partition, signal)])
    const { start, end } = found.get(partition) ?? { start: 0, end: 0 }
    return Math.max(start, Math.min(committed ?? (latest ? end : start), end))
  }

  /** The group went on without us. */
  #lose(): void {
    this.#share = []
    for (const [key, holding] of this.#held) {
      holding.lose()
      void this.#letGo(key, holding)
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    // While still a member, so that what handlers finish can be committed.
    await Promise.all([...this.#held.values()].map((holding) => holding.close()))
    const ended = this.#reader.close()
    await this.#membership.close()
    await ended
    this.#ready.resolve()
  }
}
