/** Locality-sensitive hashes of a fingerprint (inference/fingerprint): near-duplicates share at least one. */
export const bandCount = 8
/** Newest queries of one bucket that are looked at: an attack fills its own. */
const mostPerBucket = 12

/**
 * Which remembered queries share a band with one in hand. Eight hash tables of doubly linked chains, newest first, in typed
 * arrays: nothing is allocated for a query.
 */
export class BandIndex {
  readonly #mask: number
  readonly #bands: Uint32Array
  /** Per table and bucket: slot + 1, or 0. */
  readonly #heads: Int32Array
  /** Per slot and table: neighbours in its chain, slot + 1, or 0. */
  readonly #newer: Int32Array
  readonly #older: Int32Array
  readonly #filled: Uint8Array

  constructor(capacity: number) {
    const buckets = 2 ** Math.ceil(Math.log2(2 * capacity))
    this.#mask = buckets - 1
    this.#bands = new Uint32Array(capacity * bandCount)
    this.#heads = new Int32Array(buckets * bandCount)
    this.#newer = new Int32Array(capacity * bandCount)
    this.#older = new Int32Array(capacity * bandCount)
    this.#filled = new Uint8Array(capacity)
  }

  /** The bands of the first slots, in order. */
  bandsOf(slots: number): Uint32Array {
    return this.#bands.subarray(0, slots * bandCount)
  }

  /** Puts a query in place of the one that had the slot. */
  set(slot: number, bands: Uint32Array): void {
    if (this.#filled[slot]) this.#remove(slot)
    this.#filled[slot] = 1
    for (let band = 0; band < bandCount; band++) {
      const at = slot * bandCount + band
      this.#bands[at] = bands[band] as number
      const bucket = this.#bucket(band, bands[band] as number)
      const next = this.#heads[bucket] as number
      this.#heads[bucket] = slot + 1
      this.#newer[at] = 0
      this.#older[at] = next
      if (next > 0) this.#newer[(next - 1) * bandCount + band] = slot + 1
    }
  }

  #remove(slot: number): void {
    for (let band = 0; band < bandCount; band++) {
      const at = slot * bandCount + band
      const newer = this.#newer[at] as number
      const older = this.#older[at] as number
      if (newer > 0) this.#older[(newer - 1) * bandCount + band] = older
      else this.#heads[this.#bucket(band, this.#bands[at] as number)] = older
      if (older > 0) this.#newer[(older - 1) * bandCount + band] = newer
    }
  }

  #bucket(band: number, hash: number): number {
    // The hashes are keyed, and so are their low bits.
    return band * (this.#mask + 1) + (hash & this.#mask)
  }

  /** Slots that share a band, at most 12 a band, each as often as it shares one. @returns how many were written to `out` */
  candidates(bands: Uint32Array, out: Int32Array): number {
    let count = 0
    for (let band = 0; band < bandCount; band++) {
      const hash = bands[band] as number
      let next = this.#heads[this.#bucket(band, hash)] as number
      for (let seen = 0; next > 0 && seen < mostPerBucket; seen++) {
        const at = (next - 1) * bandCount + band
        if (this.#bands[at] === hash) out[count++] = next - 1
        next = this.#older[at] as number
      }
    }
    return count
  }
}

export const mostCandidates = bandCount * mostPerBucket
