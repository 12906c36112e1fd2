/** Runs work one after another, in the order it was asked for; a failure is its caller's and stops nobody else. */
export class Turn {
  #last: Promise<unknown> = Promise.resolve()
  #waiting = 0

  /** Work running or waiting. */
  get waiting(): number {
    return this.#waiting
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    this.#waiting++
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    try {
      return await done
    } finally {
      this.#waiting--
    }
  }

  /** Resolves when everything asked for so far is done. */
  async idle(): Promise<void> {
    await this.#last
  }
}
