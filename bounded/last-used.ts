/** A map of at most so many entries: one more, and the one that was used least lately goes. Reading an entry, or setting it, uses it. */
export class LastUsed<K, V> {
  readonly #most: number
  readonly #entries = new Map<K, V>()
  /**
   * One for as long as the map lives, so that it stands before the eldest: a new one would step over all that was deleted since the
   * map last grew or shrank, some 10 µs for each entry that goes of 10,000.
   */
  readonly #eldest = this.#entries.keys()

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#entries.size
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  /** Without using it. */
  peek(key: K): V | undefined {
    return this.#entries.get(key)
  }

  set(key: K, value: V): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    if (this.#entries.size <= this.#most) return
    const { value: eldest, done } = this.#eldest.next()
    if (done !== true) this.#entries.delete(eldest)
  }

  delete(key: K): boolean {
    return this.#entries.delete(key)
  }

  /** Used last comes last. */
  values(): MapIterator<V> {
    return this.#entries.values()
  }
}
