import type { BusRecord, Consumer, ConsumerOptions, EventBus, OutgoingRecord, Tail, TailOptions } from '../../bus/port.ts'

/**
 * A bus as seen by a process that can be stopped: what it was about to write waits, and it hears nothing. When it goes
 * on, its writes are out before it hears of anything: the worst case.
 */
export class PausableBus implements EventBus {
  readonly adapter: EventBus['adapter']
  readonly #inner: EventBus
  #stopped: PromiseWithResolvers<void> | null = null
  #deaf = false
  #writing: Promise<unknown>[] = []
  readonly #unheard: (() => void)[] = []

  constructor(inner: EventBus) {
    this.adapter = inner.adapter
    this.#inner = inner
  }

  stop(): void {
    this.holdWrites()
    this.deafen()
  }

  /** What it writes takes long. */
  holdWrites(): void {
    this.#stopped ??= Promise.withResolvers<void>()
  }

  /** What it reads takes long. */
  deafen(): void {
    this.#deaf = true
  }

  /** Resolves when its late writes are out, and it has heard what happened meanwhile. */
  async goOn(): Promise<void> {
    this.#stopped?.resolve()
    await Promise.allSettled(this.#writing)
    this.#stopped = null
    this.#deaf = false
    for (const hear of this.#unheard.splice(0)) hear()
  }

  async publish(records: readonly OutgoingRecord[]) {
    const publishing = (this.#stopped?.promise ?? Promise.resolve()).then(() => this.#inner.publish(records))
    if (this.#stopped !== null) this.#writing.push(publishing)
    try {
      return await publishing
    } finally {
      this.#writing = this.#writing.filter((one) => one !== publishing)
    }
  }

  async tail(options: TailOptions): Promise<Tail> {
    return this.#inner.tail({
      ...options,
      onRecords: (records: readonly BusRecord[]) => {
        if (!this.#deaf) options.onRecords(records)
        else this.#unheard.push(() => options.onRecords(records))
      },
    })
  }

  async consume(options: ConsumerOptions): Promise<Consumer> {
    return this.#inner.consume({
      ...options,
      onBatch: async (batch, control) => {
        await this.#stopped?.promise
        await options.onBatch(batch, { ...control, commit: (offset) => this.#commit(() => control.commit(offset)) })
      },
    })
  }

  ensureTopics: EventBus['ensureTopics'] = (topics) => this.#inner.ensureTopics(topics)
  planTopics: EventBus['planTopics'] = (topics) => this.#inner.planTopics(topics)
  growTopic: EventBus['growTopic'] = (...given) => this.#inner.growTopic(...given)
  read: EventBus['read'] = (...given) => this.#inner.read(...given)
  offsetsAt: EventBus['offsetsAt'] = (...given) => this.#inner.offsetsAt(...given)
  partitions: EventBus['partitions'] = (topic) => this.#inner.partitions(topic)
  groups: EventBus['groups'] = () => this.#inner.groups()
  close = async () => {}

  async #commit(commit: () => Promise<void>): Promise<void> {
    await this.#stopped?.promise
    await commit()
  }
}
