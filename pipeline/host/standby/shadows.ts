import type { BusRecord, Tail } from '../../../bus/port.ts'
import { type Assignment, type Heartbeat, type Instant, topics } from '../../../schemas/index.ts'
import type { HostContext } from '../context.ts'
import type { Applier } from '../lane/applier.ts'
import type { SeenFindings } from '../lane/seen-findings.ts'
import { tickWhereDue } from '../lane/tick.ts'
import { type Restore, Shadow } from './shadow.ts'
import { orphans, partitionsToFollow, placeKey, type TopicPartition } from './standby.ts'

/** A shadow that is not wanted any more stays so long, milliseconds: a rebalance may bring its partition here, or back. */
const lingerMs = 10_000

export interface ShadowsOptions {
  readonly instance: string
  /** How long something that a partition owes may be missing on the log before it is published here. */
  readonly afterMs: number
  readonly neighbours: () => readonly Heartbeat[]
  readonly seen: SeenFindings
  readonly restore: Restore
  /** Committed offsets of the group. */
  readonly committed: () => Promise<ReadonlyMap<string, number>>
}

/**
 * The partitions of neighbours that this instance follows, so that it can take them over at once, and so that what they
 * show is stated in time though their owner is dead or stands still.
 */
export class Shadows {
  readonly #context: HostContext
  readonly #options: ShadowsOptions
  readonly #shadows = new Map<string, Shadow>()
  readonly #tails = new Map<string, Tail>()
  /** Topics whose followed partitions are not those of their tail. */
  readonly #changed = new Set<string>()
  #findings: Tail | null = null
  /** One at a time: warming takes a core from the partitions that are ours. */
  #warming: Promise<void> | null = null
  #looking: Promise<void> | null = null
  #over = false

  constructor(context: HostContext, options: ShadowsOptions) {
    this.#context = context
    this.#options = options
  }

  async start(): Promise<void> {
    const { bus } = this.#context
    const { seen } = this.#options
    const onRecords = (records: readonly BusRecord[]): void => {
      for (const { headers } of records) {
        const id = headers.ce_id
        if (id === undefined) continue
        seen.add(id)
        for (const { work } of this.#shadows.values()) work?.debts.delete(id)
      }
    }
    this.#findings = await bus.tail({ topic: topics.findings.name, from: 'end', onRecords, onError: this.#onError })
  }

  /** Partitions that could be taken over at once. */
  warm(): TopicPartition[] {
    return [...this.#shadows.values()].filter(({ warm }) => warm).map(({ topic, partition }) => ({ topic, partition }))
  }

  assignments(): Assignment[] {
    return [...this.#shadows.values()].map(({ topic, partition, work }) => {
      const { end = 0, lagMs = 0 } = work ?? {}
      return { topic, partition, standby: true, offset: work?.host.next ?? 0, end, lagMs }
    })
  }

  works(): Applier[] {
    return [...this.#shadows.values()].flatMap(({ work }) => work ?? [])
  }

  /** Gives up a shadow, for the partition is ours now; null where there is none, or none with a host. */
  async take(place: TopicPartition): Promise<Applier | null> {
    const shadow = this.#shadows.get(placeKey(place))
    if (shadow === undefined) return null
    this.#drop(shadow)
    return shadow.stop()
  }

  /** Follows on where a partition that was ours stands. */
  adopt(work: Applier): void {
    this.#shadows.set(placeKey(work), new Shadow(work, work, this.#context))
    this.#changed.add(work.topic)
  }

  /** @param places every partition that is observed, and whether it is ours */
  look(places: readonly (TopicPartition & { readonly ours: boolean })[]): Promise<void> {
    this.#looking ??= this.#look(places)
      .catch(this.#onError)
      .finally(() => {
        this.#looking = null
      })
    return this.#looking
  }

  async close(): Promise<void> {
    this.#over = true
    await this.#looking
    await Promise.all([...this.#shadows.values()].map((shadow) => shadow.stop()))
    await Promise.all([this.#findings, ...this.#tails.values()].map((tail) => tail?.close()))
    this.#shadows.clear()
  }

  readonly #onError = (error: unknown): void => {
    this.#context.log.warn({ err: error }, 'following the partitions of neighbours: trying again')
  }

  async #look(places: readonly (TopicPartition & { readonly ours: boolean })[]): Promise<void> {
    this.#choose(places)
    this.#warmNext()
    for (const shadow of this.#shadows.values()) shadow.pump()
    await this.#standIn()
    await Promise.all([...this.#changed].map((topic) => this.#follow(topic)))
  }

  #choose(places: readonly (TopicPartition & { readonly ours: boolean })[]): void {
    const { instance, neighbours } = this.#options
    const now = this.#context.clock()
    const ours = new Set(places.filter((place) => place.ours).map(placeKey))
    const neighbourhood = { instance, heartbeats: neighbours(), partitions: places, now }
    for (const place of partitionsToFollow(neighbourhood)) {
      const key = placeKey(place)
      if (ours.has(key)) continue
      const shadow = this.#shadows.get(key)
      if (shadow === undefined) this.#shadows.set(key, new Shadow(place, null, this.#context))
      else shadow.wantedAt = now
    }
    // Its owner may just have died: whoever follows it stands in for it until it has another one.
    for (const place of orphans(neighbourhood)) {
      const shadow = this.#shadows.get(placeKey(place))
      if (shadow !== undefined) shadow.wantedAt = now
    }
    for (const shadow of this.#shadows.values()) {
      if (now - shadow.wantedAt <= lingerMs) continue
      this.#drop(shadow)
      void shadow.stop()
    }
  }

  #drop(shadow: Shadow): void {
    this.#shadows.delete(placeKey(shadow))
    this.#changed.add(shadow.topic)
  }

  #warmNext(): void {
    if (this.#warming !== null || this.#over) return
    const idle = [...this.#shadows.values()].find(({ phase }) => phase === 'idle')
    if (idle === undefined) return
    this.#warming = idle.warmUp(this.#options.restore).finally(() => {
      this.#warming = null
      this.#changed.add(idle.topic)
      if (idle.phase !== 'idle') return this.#warmNext()
      // It failed: the clock says when to try again, and others come first.
      const key = placeKey(idle)
      if (this.#shadows.delete(key)) this.#shadows.set(key, idle)
    })
  }

  /** Has one tail follow what is to be followed of a topic. */
  async #follow(topic: string): Promise<void> {
    this.#changed.delete(topic)
    try {
      await this.#tails.get(topic)?.close()
      this.#tails.delete(topic)
      const followed = [...this.#shadows.values()].filter((shadow) => shadow.topic === topic && shadow.phase === 'following')
      if (followed.length === 0 || this.#over) return
      const tail = await this.#context.bus.tail({
        topic,
        partitions: followed.map(({ partition }) => partition),
        from: new Map(followed.map(({ partition, reads }) => [partition, reads])),
        onRecords: (records) => {
          const partition = records[0]?.partition ?? -1
          this.#shadows.get(placeKey({ topic, partition }))?.offer(records)
        },
        onError: this.#onError,
      })
      this.#tails.set(topic, tail)
    } catch (error) {
      this.#changed.add(topic)
      throw error
    }
  }

  /** States, and puts the time on the log, where an owner does not. */
  async #standIn(): Promise<void> {
    const { afterMs, committed } = this.#options
    const { bus, clock, metrics } = this.#context
    const overdue = (now: Instant, { debts }: Applier) => [...debts].filter(([, { since }]) => now - since >= afterMs)
    const late = this.works().filter((work) => overdue(clock(), work).length > 0)
    if (late.length > 0) {
      // What is committed was published, before this instance listened or while it stood still itself.
      const offsets = await committed()
      for (const work of late) {
        work.forgive(offsets.get(placeKey(work)) ?? 0)
        const owed = overdue(clock(), work)
        if (owed.length === 0) continue
        await bus.publish(owed.map(([, { record }]) => record))
        for (const [id] of owed) work.debts.delete(id)
        metrics.stoodIn.inc({ topic: work.topic }, owed.length)
      }
    }
    for (const shadow of this.#shadows.values()) {
      if (shadow.phase === 'following' && shadow.work !== null) await tickWhereDue(shadow.work, this.#context, afterMs)
    }
  }
}
