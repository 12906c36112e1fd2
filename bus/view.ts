import { type CordonEvent, type Kind, type TopicData, type TopicName, topics } from '../schemas/index.ts'
import { decode, type TopicKind } from './codec.ts'
import { BusError } from './errors.ts'
import { Fence } from './fence.ts'
import type { BusRecord, EventBus, Position, Tail } from './port.ts'
import { Progress } from './progress.ts'
import { openTail } from './tail.ts'

/** Called after each change; `value` is undefined and `event` null where the key was deleted. */
export type ViewListener<V> = (key: string, value: V | undefined, event: CordonEvent | null) => void

/** The newest value of each key of a compacted topic, kept current. What a replaced writer still writes does not count, see `Fence`. */
export interface View<V> {
  get(key: string): V | undefined
  values(): IterableIterator<V>
  readonly size: number
  /** Returns a function that stops it. */
  onChange(listener: ViewListener<V>): () => void
  /** Milliseconds since the view last held for certain all there was; see `Tail`. */
  staleMs(): number
  /** Resolves when the view has taken in the record at a position, such as one just published. Rejects when it is closed first. */
  reached(position: Pick<Position, 'partition' | 'offset'>): Promise<void>
  close(): Promise<void>
}

export interface ViewOptions {
  /**
   * Told of records that could not be read, which are skipped, of listeners that threw, of trouble with the bus, and
   * (`FENCED`, once for each term) that a writer goes on that was replaced.
   */
  readonly onError?: (error: unknown) => void
  /** Most keys held; records of further keys are reported as `VIEW_FULL` and skipped. Default 1,000,000. */
  readonly maxKeys?: number
}

/** Opens a view of a compacted topic; resolves when it holds everything that was in the topic at the call. */
export async function openView<T extends TopicName>(bus: EventBus, topic: T, options: ViewOptions = {}): Promise<View<TopicData<T>>> {
  const view = new TopicView<T>(topic, options)
  await view.open(bus)
  return view
}

class TopicView<T extends TopicName> implements View<TopicData<T>> {
  readonly #topic: T
  readonly #kind: TopicKind<T>
  readonly #onError: (error: unknown) => void
  readonly #maxKeys: number
  readonly #byKey = new Map<string, TopicData<T>>()
  readonly #listeners = new Set<ViewListener<TopicData<T>>>()
  readonly #fence: Fence
  readonly #progress = new Progress()
  #toldFencedBefore = -1
  #tail: Tail | undefined

  constructor(topic: T, options: ViewOptions) {
    this.#topic = topic
    this.#fence = new Fence(topic)
    this.#kind = topics[topic].kind
    this.#onError = options.onError ?? (() => {})
    this.#maxKeys = options.maxKeys ?? 1_000_000
  }

  async open(bus: EventBus): Promise<void> {
    this.#tail = await openTail(bus, {
      topic: topics[this.#topic].name,
      from: 'start',
      onRecords: (records) => {
        for (const record of records) this.#apply(record)
        this.#progress.note(records)
      },
      onError: this.#onError,
    })
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): TopicData<T> | undefined {
    return this.#byKey.get(key)
  }

  values(): IterableIterator<TopicData<T>> {
    return this.#byKey.values()
  }

  onChange(listener: ViewListener<TopicData<T>>): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  staleMs(): number {
    return this.#tail?.staleMs() ?? Number.POSITIVE_INFINITY
  }

  reached(position: Pick<Position, 'partition' | 'offset'>): Promise<void> {
    return this.#progress.reached(position)
  }

  async close(): Promise<void> {
    this.#listeners.clear()
    this.#progress.close()
    await this.#tail?.close()
  }

  #apply(record: BusRecord): void {
    const { key } = record
    try {
      if (key === null) throw new BusError('INVALID_RECORD', `viewing ${this.#topic}: the record at offset ${record.offset} has no key`)
      const verdict = this.#fence.judge(record)
      if (verdict === 'fenced') this.#tellFenced(record)
      if (verdict !== 'counts') return
      if (record.value === null) {
        if (this.#byKey.delete(key)) this.#tell(key, undefined, null)
        return
      }
      const event: CordonEvent<Kind> = decode(record)
      if (event.kind !== this.#kind)
        throw new BusError('UNKNOWN_TYPE', `viewing ${this.#topic}: a ${event.kind} event at offset ${record.offset}`)
      if (this.#byKey.size >= this.#maxKeys && !this.#byKey.has(key)) {
        throw new BusError('VIEW_FULL', `viewing ${this.#topic}: more than ${this.#maxKeys} keys; delete some, or raise the bound`)
      }
      const value = event.data as TopicData<T>
      this.#byKey.set(key, value)
      this.#tell(key, value, event)
    } catch (error) {
      this.#onError(error)
    }
  }

  #tellFenced({ offset, headers }: BusRecord): void {
    if (this.#toldFencedBefore === this.#fence.newest) return
    this.#toldFencedBefore = this.#fence.newest
    const who = headers.ce_source ?? 'a process'
    const message = `viewing ${this.#topic}: ${who} was replaced and still wrote at offset ${offset}; it does not count`
    throw new BusError('FENCED', message)
  }

  #tell(key: string, value: TopicData<T> | undefined, event: CordonEvent | null): void {
    for (const listener of this.#listeners) {
      try {
        listener(key, value, event)
      } catch (error) {
        this.#onError(error)
      }
    }
  }
}
