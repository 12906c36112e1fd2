/** A request that waits for its turn. */
export interface Waiter {
  readonly principal: string
  readonly items: number
  /** When it came, milliseconds. */
  readonly since: number
  /** Its start tag, in items of service: the lowest goes first. */
  readonly start: number
}

/** What became of a request that came: it runs, it waits, or it would have to wait for too long. */
export type Entry<W> = 'runs' | { readonly waits: W } | { readonly refusedFor: number }

export interface LineOptions {
  readonly concurrency: number
  /** Longest wait, milliseconds; who would wait for longer is not let in. */
  readonly maxWaitMs: number
}

/** How fast completions are forgotten, milliseconds: pools finish whole batches at once, so an average by count would see only those. */
const memoryMs = 2_000
/** Most finish tags that are kept of principals with nothing waiting. */
const maxTags = 10_000

/**
 * The line before one pool. While there is room whoever comes runs; then principals are served by start-time fair queueing
 * (Goyal, Vin and Cheng 1996): round-robin where all ask for as many items, and over any stretch of overload two principals that
 * both wait are never apart by more than their two largest requests. Pure: the time is an argument.
 */
export class Line<W extends Waiter> {
  readonly #options: LineOptions
  /** By principal, the oldest first. None is empty. */
  readonly #queues = new Map<string, W[]>()
  /** Finish tag of the newest request of each principal that queued, where it lies ahead of the virtual time. */
  readonly #finish = new Map<string, number>()
  #running = 0
  #waiting = 0
  /** Start tag of the last that was let run from the line. */
  #virtual = 0
  /** Completions while all places were taken, and for how many milliseconds they were; both fade. */
  #completions = 0
  #time = 0
  /** When the last place was given back, or the last free one taken. */
  #last = 0

  constructor(options: LineOptions) {
    this.#options = options
  }

  get running(): number {
    return this.#running
  }

  get waiting(): number {
    return this.#waiting
  }

  /** Whether whoever comes now runs at once. */
  get free(): boolean {
    return this.#running < this.#options.concurrency
  }

  /** Takes a free place. */
  take(now: () => number): void {
    this.#running++
    if (this.#running === this.#options.concurrency) this.#last = now()
  }

  /**
   * @param make makes the waiter from its start tag, where it has to wait
   * @returns the wait that was predicted, where it is too long
   */
  enter(principal: string, items: number, now: number, make: (start: number) => W): Entry<W> {
    if (this.free) {
      this.take(() => now)
      return 'runs'
    }
    const start = Math.max(this.#virtual, this.#finish.get(principal) ?? 0)
    const waitMs = this.#predict(start, now)
    if (waitMs > this.#options.maxWaitMs) return { refusedFor: waitMs }
    const waiter = make(start)
    const queue = this.#queues.get(principal)
    if (queue === undefined) this.#queues.set(principal, [waiter])
    else queue.push(waiter)
    this.#waiting++
    this.#setFinish(principal, start + items)
    return { waits: waiter }
  }

  /** A place is given back. @returns who has it now */
  leave(now: number): W | undefined {
    if (!this.free) this.#learn(now)
    const next = this.#next()
    if (next === undefined) {
      this.#running--
      // Nobody waits: whoever had more than the others owes them nothing.
      if (this.#finish.size > 0) this.#finish.clear()
      return undefined
    }
    this.#virtual = Math.max(this.#virtual, next.start)
    this.#drop(next)
    return next
  }

  /** It does not wait any more. @returns whether it did */
  remove(waiter: W): boolean {
    const queue = this.#queues.get(waiter.principal)
    if (queue === undefined || !queue.includes(waiter)) return false
    const last = queue.at(-1) === waiter
    this.#drop(waiter)
    // What nobody waits for was not used: the principal's next request stands where this one stood.
    if (last) this.#setFinish(waiter.principal, waiter.start)
    return true
  }

  /** Requests of a principal that wait. */
  waitingOf(principal: string): number {
    return this.#queues.get(principal)?.length ?? 0
  }

  /** The newest request of the principal with the most waiting. */
  greediest(): { readonly waiter: W; readonly waiting: number } | undefined {
    let longest: W[] = []
    for (const queue of this.#queues.values()) if (queue.length > longest.length) longest = queue
    const waiter = longest.at(-1)
    return waiter === undefined ? undefined : { waiter, waiting: longest.length }
  }

  /** Those that have waited for as long as anyone may. */
  expired(now: number): readonly W[] {
    const { maxWaitMs } = this.#options
    const gone: W[] = []
    for (const queue of this.#queues.values()) {
      for (const waiter of queue) {
        // Oldest first: behind one that may still wait, all may.
        if (now - waiter.since < maxWaitMs) break
        gone.push(waiter)
      }
    }
    return gone
  }

  /** How long a request of a principal that comes now would wait, milliseconds. */
  wait(principal: string, now: number): number {
    return this.free ? 0 : this.#predict(Math.max(this.#virtual, this.#finish.get(principal) ?? 0), now)
  }

  /** Those with a lower tag go first, at the rate of late; a pool that has stood still for longer than its rate says is that slow. */
  #predict(start: number, now: number): number {
    if (this.#completions === 0) return 0
    const interval = this.#time / this.#completions
    let ahead = 0
    for (const queue of this.#queues.values()) {
      for (const waiter of queue) {
        if (waiter.start > start) break
        ahead++
      }
    }
    return ahead * interval + Math.max(interval, now - this.#last)
  }

  #learn(now: number): void {
    const elapsed = Math.max(0, now - this.#last)
    const left = Math.exp(-elapsed / memoryMs)
    this.#completions = this.#completions * left + 1
    this.#time = this.#time * left + elapsed
    this.#last = now
  }

  #next(): W | undefined {
    let next: W | undefined
    for (const [head] of this.#queues.values()) {
      if (head !== undefined && (next === undefined || head.start < next.start || (head.start === next.start && head.since < next.since)))
        next = head
    }
    return next
  }

  #drop(waiter: W): void {
    const queue = this.#queues.get(waiter.principal) ?? []
    queue.splice(queue.indexOf(waiter), 1)
    this.#waiting--
    if (queue.length === 0) this.#queues.delete(waiter.principal)
  }

  #setFinish(principal: string, tag: number): void {
    this.#finish.delete(principal)
    this.#finish.set(principal, tag)
    if (this.#finish.size <= maxTags) return
    for (const [one, finish] of this.#finish) if (finish <= this.#virtual) this.#finish.delete(one)
    for (const one of this.#finish.keys()) if (this.#finish.size > maxTags) this.#finish.delete(one)
  }
}
