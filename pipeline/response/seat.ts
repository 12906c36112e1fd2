import type { Batch, EventBus, PartitionControl } from '../../bus/port.ts'
import type { Assignment, Instant } from '../../schemas/index.ts'
import type { Charge } from './charge.ts'

export interface SeatOptions {
  readonly bus: EventBus
  readonly charge: Charge
  readonly clock: () => Instant
  /** Takes charge and learns all that is to be known; what was half done is to be done again. */
  readonly take: () => Promise<void>
}

/** One partition that the group gave us. */
interface Place {
  readonly topic: string
  readonly partition: number
  offset: number
  end: number
  /** Timestamp of the oldest record that is not handled; null when there is none. */
  oldest: Instant | null
}

/** This process's place in the group: while it holds one, it is to be in charge. */
export class Seat {
  readonly #options: SeatOptions
  readonly #places = new Map<string, Place>()
  #taking: Promise<void> | null = null

  constructor(options: SeatOptions) {
    this.#options = options
  }

  /** Resolves when this process is in charge. The partitions that come together lead to one taking. */
  async assigned(topic: string, partition: number, control: PartitionControl): Promise<void> {
    const name = `${topic}/${partition}`
    // We have it already, so we were not told that it went in between.
    if (this.#places.has(name)) this.#leave()
    const states = await this.#options.bus.partitions(topic)
    const end = states.find((state) => state.partition === partition)?.end ?? 0
    this.#places.set(name, { topic, partition, offset: end, end, oldest: null })
    await this.#confirmedBy(control, () => this.#take())
  }

  revoked(topic: string, partition: number): void {
    this.#places.delete(`${topic}/${partition}`)
    this.#taking = null
    this.#options.charge.drop()
  }

  /** Handles a batch in charge, or not at all: then the group delivers it again, here or elsewhere. */
  async during(batch: Batch, control: PartitionControl, handle: () => Promise<void>): Promise<void> {
    // A process that has the partitions no more took charge after us. It is given no batch, so it does so once.
    await this.#confirmedBy(control, () => this.retake())
    const place = this.#places.get(`${batch.topic}/${batch.partition}`)
    const [first] = batch.records
    if (place !== undefined && first !== undefined) Object.assign(place, { offset: first.offset, end: batch.end, oldest: first.timestamp })
    await handle()
    const next = (batch.records.at(-1)?.offset ?? -1) + 1
    if (place !== undefined) Object.assign(place, { offset: next, oldest: next < batch.end ? place.oldest : null })
  }

  /** Takes charge again where another process took it that was not to. */
  async retake(): Promise<void> {
    const { charge } = this.#options
    if (this.#places.size > 0 && charge.confirmed) await this.#take()
  }

  assignments(): readonly Assignment[] {
    const now = this.#options.clock()
    return [...this.#places.values()].map(({ topic, partition, offset, end, oldest }) => {
      return { topic, partition, standby: false, offset, end, lagMs: oldest === null ? 0 : Math.max(0, now - oldest) }
    })
  }

  /** Who takes charge begins with nobody to confirm it. */
  async #confirmedBy(control: PartitionControl, take: () => Promise<void>): Promise<void> {
    const { charge } = this.#options
    const confirmed = () => control.held()
    charge.confirmBy(confirmed)
    await take()
    charge.confirmBy(confirmed)
  }

  async #take(): Promise<void> {
    if (this.#options.charge.held) return
    this.#taking ??= this.#options.take()
    const taking = this.#taking
    try {
      await taking
    } catch (error) {
      // In charge, and without the memory for it: the next try begins anew.
      if (this.#taking === taking) this.#options.charge.drop()
      throw error
    } finally {
      if (this.#taking === taking) this.#taking = null
    }
  }

  #leave(): void {
    this.#places.clear()
    this.#taking = null
    this.#options.charge.drop()
  }
}
