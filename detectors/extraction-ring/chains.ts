/**
 * Which entries of a ring have a key in common. Each entry knows how many entries before it the last one of its bucket came, so
 * that what the ring overwrites drops out by itself. Buckets hold several keys: whoever walks a chain looks at each entry.
 */
export class Chains {
  readonly #mask: number
  readonly #capacity: number
  /** By bucket, the newest entry's number, counted from 1 over all that were ever added; 0 for none. */
  readonly #newest: Float64Array
  /** By slot, how many entries before it the next older of its bucket came; the capacity or more where that one is gone. */
  readonly #back: Int32Array

  /** @param buckets a power of two */
  constructor(capacity: number, buckets: number) {
    this.#mask = buckets - 1
    this.#capacity = capacity
    this.#newest = new Float64Array(buckets)
    this.#back = new Int32Array(capacity)
  }

  /** Enters the `number`-th entry, which is in slot `(number − 1) % capacity`. */
  add(number: number, key: number): void {
    const bucket = key & this.#mask
    const before = this.#newest[bucket] as number
    this.#back[(number - 1) % this.#capacity] = before === 0 ? this.#capacity : Math.min(number - before, this.#capacity)
    this.#newest[bucket] = number
  }

  /**
   * Slots of the entries in the key's bucket that the ring still has, ascending.
   *
   * @param last number of the newest entry of all
   * @param out as long as the ring
   * @returns how many there are
   */
  find(key: number, last: number, out: Int32Array): number {
    const capacity = this.#capacity
    const back = this.#back
    const newest = this.#newest[key & this.#mask] as number
    if (newest === 0 || newest <= last - capacity) return 0
    let age = last - newest
    let slot = (newest - 1) % capacity
    let count = 0
    // Newest first, the slots fall, but where the ring began anew.
    let wrapped = -1
    while (age < capacity) {
      out[count++] = slot
      const step = back[slot] as number
      age += step
      slot -= step
      if (slot >= 0 || age >= capacity) continue
      slot += capacity
      wrapped = count
    }
    reverse(out, 0, wrapped < 0 ? count : wrapped)
    if (wrapped >= 0) reverse(out, wrapped, count)
    return count
  }
}

function reverse(values: Int32Array, from: number, until: number): void {
  for (let low = from, high = until - 1; low < high; low++, high--) {
    const value = values[low] as number
    values[low] = values[high] as number
    values[high] = value
  }
}
