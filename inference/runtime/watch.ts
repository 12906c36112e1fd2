/** The longest that timers can wait. */
const longestMs = 2 ** 31 - 1

/** Calls back where nothing has started or stopped it for a while. */
export class Watch {
  readonly #ms: number
  readonly #late: () => void
  #timer: NodeJS.Timeout | undefined
  /** Starts and stops so far. */
  #changes = 0

  constructor(ms: number, late: () => void) {
    this.#ms = Math.min(ms, longestMs)
    this.#late = late
  }

  get on(): boolean {
    return this.#timer !== undefined
  }

  start(): void {
    this.#changes++
    if (this.#timer) this.#timer.refresh()
    else this.#timer = setTimeout(() => this.#end(), this.#ms)
  }

  stop(): void {
    this.#changes++
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** After an event loop that stood still, timers come before the messages that it did not read: those have one more turn. */
  #end(): void {
    const changes = this.#changes
    setImmediate(() => {
      if (changes !== this.#changes) return
      this.#late()
    })
  }
}
