import type { Logger } from 'pino'
import { beginTerm, underTerm } from '../../bus/fence.ts'
import type { EventBus, OutgoingRecord, Position } from '../../bus/port.ts'
import { ResponderError } from '../../responders/errors.ts'
import type { Instant, TopicName } from '../../schemas/index.ts'
import { FencedTopic } from './fenced-topic.ts'

/** Where a term begins after `outcomes`, in this order; see `Term` for why. */
const sayDone = ['actions', 'incidents'] as const
const effects = ['containments', 'keys', 'models', 'risks', 'shares'] as const
const compacted = ['incidents', ...effects] as const
type Effects = (typeof effects)[number]

export interface ChargeOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  /** This process's name. */
  readonly holder: string
  readonly log: Logger
}

/**
 * Who is in charge of the control topics, as this process knows, and the one way by which it writes them. Taking
 * charge begins a term: whatever an earlier holder still writes does not count from then on, and what it wrote over is
 * written again.
 */
export class Charge {
  readonly #options: ChargeOptions
  readonly #topics: readonly FencedTopic[]
  readonly #followers: { readonly topic: Effects; readonly reached: (position: Position) => Promise<unknown> }[] = []
  readonly #onTake = new Set<() => void>()
  readonly #onDrop = new Set<() => void>()
  /** Under which this process writes; null while it stands by. */
  #term: number | null = null
  #confirmed: () => boolean = () => true
  #attempt = 0
  /** Writing waits for it: a repair must see the last word of each key. */
  #gate: Promise<void> = Promise.resolve()
  readonly #writing = new Set<Promise<unknown>>()
  #repairing: Promise<void> | null = null
  #retry: NodeJS.Timeout | undefined
  #closed = false

  /** Opens it, standing by, with all that is on the control topics known. */
  static async open(options: ChargeOptions): Promise<Charge> {
    const holder: { charge?: Charge } = {}
    const { bus, log } = options
    const onError = (err: unknown) => log.warn({ err }, 'the control topics are not being followed for a moment')
    const onChange = () => holder.charge?.noteChange()
    const opened = await Promise.allSettled(
      compacted.map((topic) => FencedTopic.open({ bus, topic, keeps: topic === 'incidents' || topic === 'risks', onChange, onError })),
    )
    const found = opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    const failed = opened.find((one) => one.status === 'rejected')
    if (failed !== undefined) {
      await Promise.all(found.map((topic) => topic.close()))
      throw failed.reason
    }
    holder.charge = new Charge(options, found)
    return holder.charge
  }

  private constructor(options: ChargeOptions, topics: readonly FencedTopic[]) {
    this.#options = options
    this.#topics = topics
  }

  /** Whether this process may write, as far as it knows. */
  get held(): boolean {
    return this.#term !== null && this.#confirmed()
  }

  /** Whether the group, asked last, confirms that nobody else was given the charge. */
  get confirmed(): boolean {
    return this.#confirmed()
  }

  /** @throws ResponderError `NOT_IN_CHARGE` */
  term(): number {
    if (this.#term === null || !this.#confirmed()) {
      throw new ResponderError('NOT_IN_CHARGE', `${this.#options.holder} stands by: another process writes the control topics.`)
    }
    return this.#term
  }

  /** What is known of incidents, by id. */
  get incidents(): FencedTopic['records'] {
    return this.#topicOf('incidents').records
  }

  /** What is known of risks, by principal. */
  get risks(): FencedTopic['records'] {
    return this.#topicOf('risks').records
  }

  /** Whatever is decided on needs all that was written before: taking charge waits until `reached` resolves. */
  follow(topic: Effects, reached: (position: Position) => Promise<unknown>): void {
    this.#followers.push({ topic, reached })
  }

  /** Called when this process is in charge. */
  onTake(listener: () => void): void {
    this.#onTake.add(listener)
  }

  /** Called when this process is no longer in charge. */
  onDrop(listener: () => void): void {
    this.#onDrop.add(listener)
  }

  /** How to ask, from now on, whether the group still confirms the charge. */
  confirmBy(confirmed: () => boolean): void {
    this.#confirmed = confirmed
  }

  /**
   * Begins a term, and resolves with where it began when everything written before is known.
   *
   * @throws ResponderError `NOT_IN_CHARGE` where it was dropped, or another took it, meanwhile
   */
  async take(): Promise<{ readonly outcomes: Position }> {
    this.drop()
    const attempt = ++this.#attempt
    const outcomes = await this.#begin('outcomes', null)
    // More than the offset only on a log that was copied from elsewhere, where offsets begin anew.
    const number = Math.max(outcomes.offset, this.#newest() + 1)
    if (number !== outcomes.offset) await this.#begin('outcomes', number)
    const said = await this.#beginAll(sayDone, number)
    const began = [...said, ...(await this.#beginAll(effects, number))]
    const reached = began.flatMap((position) => [
      ...this.#topics.filter(({ topic }) => topic === position.topic).map((topic) => topic.reached(position)),
      ...this.#followers.filter(({ topic }) => topic === position.topic).map((follower) => follower.reached(position)),
    ])
    await Promise.all(reached)
    if (attempt !== this.#attempt || this.#closed || this.#newest() > number) {
      throw new ResponderError('NOT_IN_CHARGE', `${this.#options.holder} was to take charge, and another process took it meanwhile.`)
    }
    this.#term = number
    this.#options.log.info({ term: number, holder: this.#options.holder }, 'in charge of the control topics')
    for (const listener of this.#onTake) listener()
    this.noteChange()
    return { outcomes }
  }

  /** Stands by. What is on its way is written, and counts if nobody took charge yet. */
  drop(): void {
    this.#attempt++
    this.#confirmed = () => true
    if (this.#term === null) return
    this.#term = null
    for (const listener of this.#onDrop) listener()
  }

  /**
   * Writes under this process's term; durable when it resolves.
   *
   * @throws ResponderError `NOT_IN_CHARGE`, also where the charge was lost while it wrote: then it may count or not
   */
  async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    await this.#passed()
    const term = this.term()
    const writing = this.#options.bus.publish(records.map((record) => underTerm(record, term)))
    const settled = writing.catch(() => {}).finally(() => this.#writing.delete(settled))
    this.#writing.add(settled)
    const positions = await writing
    if (this.term() !== term) throw new ResponderError('NOT_IN_CHARGE', `${this.#options.holder} was replaced while it wrote.`)
    return positions
  }

  /** Somebody wrote what bears on the charge: a newer term ends it, and what a replaced writer wrote over is written again. */
  noteChange(): void {
    if (this.#term === null) return
    if (this.#newest() > this.#term) {
      this.#options.log.warn({ term: this.#term, newer: this.#newest() }, 'another process took charge of the control topics')
      this.drop()
    } else if (this.#topics.some(({ overwritten }) => overwritten.size > 0)) this.#repairSoon()
  }

  async close(): Promise<void> {
    this.#closed = true
    clearTimeout(this.#retry)
    this.drop()
    await this.#repairing
    await Promise.all(this.#topics.map((topic) => topic.close()))
  }

  #newest(): number {
    return Math.max(...this.#topics.map(({ term }) => term))
  }

  #topicOf(name: TopicName): FencedTopic {
    const found = this.#topics.find(({ topic }) => topic === name)
    if (found === undefined) throw new TypeError(`${name} is not followed`)
    return found
  }

  async #begin(topic: TopicName, number: number | null): Promise<Position> {
    const [position] = await this.#beginAll([topic], number)
    if (position === undefined) throw new TypeError(`beginning a term on ${topic}: the bus told no position`)
    return position
  }

  #beginAll(topics: readonly TopicName[], number: number | null): Promise<readonly Position[]> {
    const { bus, clock, holder } = this.#options
    const at = clock()
    return bus.publish(topics.map((topic) => beginTerm(topic, { role: 'respond', holder, number, at }, holder)))
  }

  #repairSoon(): void {
    clearTimeout(this.#retry)
    this.#retry = undefined
    this.#repairing ??= this.#repair()
      .catch((err: unknown) => {
        if (this.#closed || !this.held) return
        this.#options.log.warn({ err }, 'what a replaced process wrote over could not be written again; trying again')
        this.#retry = setTimeout(() => this.noteChange(), 1_000).unref()
      })
      .finally(() => {
        this.#repairing = null
        if (this.#retry === undefined) this.noteChange()
      })
  }

  async #repair(): Promise<void> {
    for (const topic of this.#topics) {
      if (topic.overwritten.size === 0) continue
      const written = await this.#alone(async (term) => {
        const repairs = await topic.repairs(this.#options.clock())
        this.#options.log.warn({ topic: topic.topic, keys: repairs.length }, 'a replaced process wrote; what stands is written again')
        return this.#options.bus.publish(repairs.map((record) => underTerm(record, term)))
      })
      await Promise.all(written.map((position) => topic.reached(position)))
    }
  }

  async #passed(): Promise<void> {
    for (let gate: Promise<void> | null = null; gate !== this.#gate; ) {
      gate = this.#gate
      await gate
    }
  }

  /** Runs `work` while nobody else writes by this charge. */
  async #alone<T>(work: (term: number) => Promise<T>): Promise<T> {
    const open = Promise.withResolvers<void>()
    this.#gate = open.promise
    try {
      await Promise.all(this.#writing)
      return await work(this.term())
    } finally {
      open.resolve()
    }
  }
}
