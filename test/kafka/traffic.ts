import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { BusError } from '../../bus/errors.ts'
import type { BusRecord, Consumer, EventBus, Tail } from '../../bus/port.ts'
import { until } from '../bus/until.ts'

/** Keys whose records are numbered, each from 0. */
const keys = Array.from({ length: 16 }, (_, i) => `key-${i}`)
const partitions = 4

/** What one reader saw: of each key the numbers, each once, in the order in which they came first. */
class Sight {
  readonly numbers = new Map<string, number[]>(keys.map((key) => [key, []]))
  readonly #seen = new Set<string>()
  duplicates = 0
  /** Longest time without anything new, while there was traffic, in milliseconds. */
  longestSilence = 0
  #last = performance.now()

  add(records: readonly BusRecord[]): void {
    for (const { key, value } of records) {
      const number = Number(Buffer.from(value ?? []).toString())
      if (key === null) continue
      if (this.#seen.has(`${key}/${number}`)) this.duplicates++
      else this.numbers.get(key)?.push(number)
      this.#seen.add(`${key}/${number}`)
    }
    this.tick()
  }

  tick(): void {
    this.longestSilence = Math.max(this.longestSilence, performance.now() - this.#last)
    this.#last = performance.now()
  }

  forgetSilence(): void {
    this.longestSilence = 0
    this.#last = performance.now()
  }

  get size(): number {
    return this.#seen.size
  }

  /** Everything up to `count` of each key is there, in order. */
  check(what: string, counts: ReadonlyMap<string, number>): void {
    for (const [key, count] of counts) {
      assert.deepEqual(
        this.numbers.get(key),
        Array.from({ length: count }, (_, i) => i),
        `${what}: ${key}`,
      )
    }
  }
}

/** Steady traffic through a bus, and everything that reads it, to see what faults do to them. */
export class Traffic {
  readonly published = new Sight()
  readonly consumed = new Sight()
  readonly tailed = new Sight()
  readonly errors: unknown[] = []
  /** Longest that the tail said to be stale. */
  stalest = 0
  /** Of calls of publish that failed; each was repeated. */
  failures = 0
  readonly #buses: readonly EventBus[]
  readonly #topic: string
  readonly #counts = new Map(keys.map((key) => [key, 0]))
  readonly #stop = new AbortController()
  #readers: (Consumer | Tail)[] = []
  #running: Promise<unknown> = Promise.resolve()

  /** @param buses a publisher's, two consumers', a tail's: each its own process elsewhere */
  private constructor(buses: readonly EventBus[], topic: string) {
    this.#buses = buses
    this.#topic = topic
  }

  static async start(buses: readonly EventBus[], topic: string): Promise<Traffic> {
    const traffic = new Traffic(buses, topic)
    await traffic.#start()
    return traffic
  }

  async #start(): Promise<void> {
    const [publisher, first, second, follower] = this.#buses
    if (publisher === undefined || first === undefined || second === undefined || follower === undefined) throw new RangeError('four buses')
    await publisher.ensureTopics([{ name: this.#topic, partitions, retentionMs: 3_600_000 }])
    const onError = (error: unknown): void => void this.errors.push(error)
    for (const bus of [first, second]) {
      this.#readers.push(
        await bus.consume({
          group: this.#topic,
          topics: [this.#topic],
          onError,
          onBatch: async ({ records }, { commit }) => {
            this.consumed.add(records)
            await commit((records.at(-1)?.offset ?? 0) + 1)
          },
        }),
      )
    }
    const tail = await follower.tail({ topic: this.#topic, from: 'start', onRecords: (records) => this.tailed.add(records), onError })
    this.#readers.push(tail)
    const publishing = this.#publish(publisher)
    const watching = this.#watch(tail)
    this.#running = Promise.all([publishing, watching])
    await this.settled()
  }

  async #publish(bus: EventBus): Promise<void> {
    while (!this.#stop.signal.aborted) {
      const batch = keys.map((key) => {
        const number = this.#counts.get(key) ?? 0
        return { topic: this.#topic, key, value: Buffer.from(String(number)), headers: {}, timestamp: Date.now() }
      })
      for (;;) {
        try {
          const positions = await bus.publish(batch)
          assert.ok(positions.every(({ offset }) => Number.isInteger(offset)))
          break
        } catch (error) {
          // Of a test that failed, nobody asked for the end.
          if (this.#stop.signal.aborted) return
          assert.ok(error instanceof BusError, String(error))
          this.failures++
        }
      }
      this.published.tick()
      for (const [key, count] of this.#counts) this.#counts.set(key, count + 1)
      await delay(10)
    }
  }

  async #watch(tail: Tail): Promise<void> {
    while (!this.#stop.signal.aborted) {
      this.stalest = Math.max(this.stalest, tail.staleMs())
      await delay(20)
    }
  }

  /** Records that brokers took, each counted once. */
  get count(): number {
    return [...this.#counts.values()].reduce((sum, each) => sum + each, 0)
  }

  /** What the log holds by the word of a bus: at least `count`. */
  async ends(bus: EventBus): Promise<number> {
    return (await bus.partitions(this.#topic)).reduce((sum, { end }) => sum + end, 0)
  }

  /** Resolves when what is published now is everywhere. */
  async settled(withinMs = 60_000): Promise<void> {
    const goal = this.count + keys.length
    await until('everything is everywhere', () => this.consumed.size >= goal && this.tailed.size >= goal, withinMs)
  }

  /** From now on silences count. */
  mark(): void {
    this.stalest = 0
    for (const sight of [this.published, this.consumed, this.tailed]) sight.forgetSilence()
  }

  /** Ends the traffic, whatever became of it. */
  abandon(): void {
    this.#stop.abort()
    // What it failed with is the test's, which failed already.
    this.#running.catch(() => {})
  }

  /** Ends the traffic and checks that every reader saw all of it, in order. */
  async finish(): Promise<void> {
    this.#stop.abort()
    await this.#running
    const goal = this.count
    await until('everything is everywhere', () => this.consumed.size === goal && this.tailed.size === goal, 60_000)
    const log = new Sight()
    for (let partition = 0; partition < partitions; partition++) {
      for await (const records of this.#buses[0]?.read(this.#topic, partition, 0) ?? []) log.add(records)
    }
    log.check('log', this.#counts)
    this.consumed.check('consumers', this.#counts)
    this.tailed.check('tail', this.#counts)
    await Promise.all(this.#readers.map((reader) => reader.close()))
    this.summary = { records: goal, duplicatesInLog: log.duplicates, duplicatesConsumed: this.consumed.duplicates, failures: this.failures }
  }

  summary: Readonly<Record<string, number>> = {}
}
