import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { BusRecord } from '../../../bus/port.ts'
import type { Instant } from '../../../schemas/index.ts'
import type { HostContext } from '../context.ts'
import type { Applier } from '../lane/applier.ts'
import type { TopicPartition } from './standby.ts'

/** Longest stretch of applying before the event loop gets its turn, milliseconds. */
const stretchMs = 4
/** Records that came and wait to be applied; with more, the shadow goes back to reading at its own pace. */
const mostQueued = 20_000
/** Records that may be missing when it changes from reading to following. */
const nearEnd = 1_000
/** What is owed and not seen published; with more it waits for some to be settled. */
const mostDebts = 10_000

/** Makes a host of a partition at the newest snapshot there is. */
export type Restore = (place: TopicPartition) => Promise<Applier>

/**
 * A partition of someone else: restored in the background, read to its end, then followed. It owes what it finds until that
 * is seen on the log.
 *
 * - `idle`: to be warmed
 * - `warming`: being restored, or reading at its own pace
 * - `following`: applies what it is offered
 */
export class Shadow implements TopicPartition {
  readonly topic: string
  readonly partition: number
  phase: 'idle' | 'warming' | 'following'
  /** When it was last wanted. */
  wantedAt: Instant
  readonly #context: HostContext
  #work: Applier | null
  #queue: BusRecord[] = []
  #busy: Promise<void> | null = null
  #over = false

  /** @param work a host that is up to date already, of a partition that was ours */
  constructor({ topic, partition }: TopicPartition, work: Applier | null, context: HostContext) {
    this.topic = topic
    this.partition = partition
    this.#work = work
    this.#context = context
    this.phase = work === null ? 'idle' : 'following'
    this.wantedAt = context.clock()
  }

  get work(): Applier | null {
    return this.#work
  }

  /** The next offset that it is to be offered. */
  get reads(): number {
    const last = this.#queue.at(-1)
    return last === undefined ? (this.#work?.host.next ?? 0) : last.offset + 1
  }

  /** It could take over at once. */
  get warm(): boolean {
    return this.phase === 'following' && this.#work !== null && this.#work.end - this.#work.host.next <= nearEnd
  }

  /** Restores and reads to the end; `following` when it has, `idle` when it could not. */
  warmUp(restore: Restore): Promise<void> {
    this.phase = 'warming'
    return this.#occupy(() =>
      this.#warmUp(restore).catch((error: unknown) => {
        const { topic, partition } = this
        this.#context.log.warn({ err: error, topic, partition }, 'a partition of a neighbour cannot be followed; trying again')
        this.phase = 'idle'
      }),
    )
  }

  /** Takes records of the log; what it cannot take it reads by itself later. */
  offer(records: readonly BusRecord[]): void {
    if (this.phase !== 'following' || this.#over) return
    const news = records.filter(({ offset }) => offset >= this.reads)
    const [first] = news
    if (first === undefined) return
    this.#work?.heard((news.at(-1)?.offset ?? 0) + 1)
    if (first.offset > this.reads || this.#queue.length + news.length > mostQueued) {
      this.phase = 'idle'
      return
    }
    this.#queue.push(...news)
    this.pump()
  }

  /** Applies what waits, where it does not. */
  pump(): void {
    if (this.#busy !== null || this.#queue.length === 0 || this.#over) return
    void this.#occupy(() => this.#applyQueue().catch((error: unknown) => this.#giveUp(error)))
  }

  /** Ends it; resolves with its host when that has come to rest, null where it has none. */
  async stop(): Promise<Applier | null> {
    this.#over = true
    await this.#busy
    return this.#work
  }

  /** One after another. */
  #occupy(work: () => Promise<void>): Promise<void> {
    const mine = (this.#busy ?? Promise.resolve()).then(work).finally(() => {
      if (this.#busy === mine) this.#busy = null
    })
    this.#busy = mine
    return mine
  }

  async #warmUp(restore: Restore): Promise<void> {
    const { topic, partition } = this
    const { bus } = this.#context
    this.#queue = []
    let restored = false
    while (!this.#over) {
      if (this.#work === null) {
        this.#work = await restore(this)
        restored = true
      }
      const work = this.#work
      const bounds = (await bus.partitions(topic)).find((state) => state.partition === partition)
      work.heard(bounds?.end ?? 0)
      // Overtaken by retention: what it has is no state that its owner was ever in. A newer snapshot is.
      if (work.host.next < (bounds?.start ?? 0) && !restored) {
        this.#work = null
        continue
      }
      const from = work.host.next
      for await (const records of bus.read(topic, partition, from)) {
        await this.#apply(work, records)
        if (this.#over) return
      }
      restored = false
      if (work.end - work.host.next > nearEnd && work.host.next > from) continue
      this.phase = 'following'
      return
    }
  }

  async #applyQueue(): Promise<void> {
    while (this.#queue.length > 0 && this.#work !== null && !this.#over && this.#work.debts.size < mostDebts) {
      await this.#apply(this.#work, this.#queue.slice(0, 200))
      // It may have been given up meanwhile.
      this.#queue = this.#queue.filter(({ offset }) => offset >= (this.#work?.host.next ?? 0))
    }
  }

  /** What it has is no state that its owner was ever in. */
  #giveUp(error: unknown): void {
    const { topic, partition } = this
    this.#context.log.error({ err: error, topic, partition }, 'a record could not be applied in the shadow of its owner; restoring it')
    this.#work = null
    this.#queue = []
    this.phase = 'idle'
  }

  async #apply(work: Applier, records: readonly BusRecord[]): Promise<void> {
    let since = performance.now()
    for (const record of records) {
      if (this.#over) return
      work.apply(record)
      while (work.debts.size >= mostDebts && !this.#over) await pause(50)
      if (performance.now() - since < stretchMs) continue
      await nextTurn()
      since = performance.now()
    }
  }
}
