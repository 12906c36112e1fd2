/** Chunks of a prompt, at most; more are not read. */
export const maxChunks = 96
const tableSize = 512
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
const values = new Uint8Array(128)
for (let i = 0; i < alphabet.length; i++) values[alphabet.charCodeAt(i)] = i

/** Chunks of one prompt, read from its event into columns; reused from one prompt to the next. */
export class Sketch {
  count = 0
  readonly hashes = new Uint32Array(maxChunks)
  /** Characters. */
  readonly lengths = new Uint8Array(maxChunks)
  /** Eighths of a bit a character. */
  readonly strange = new Uint8Array(maxChunks)
  /** Where each hash stands: open addressing, places of another prompt told by their stamp. */
  readonly #table = new Int32Array(tableSize)
  readonly #stamps = new Int32Array(tableSize)
  #stamp = 0
  /** How often the chunk that stands here first occurs. */
  readonly #times = new Uint8Array(maxChunks)
  readonly #sorted = new Uint8Array(maxChunks)

  /** Reads `chunks` of a `PromptEvent`: base64, six bytes a chunk, so that eight characters are one. */
  read(text: string): void {
    this.count = Math.min(maxChunks, text.length >>> 3)
    for (let i = 0; i < this.count; i++) {
      const at = i * 8
      const high = quartet(text, at)
      const low = quartet(text, at + 4)
      // Bytes 0–2 and 3–5; the hash is little-endian.
      this.hashes[i] = (((high >>> 16) & 255) | (high & 0xff00) | ((high & 255) << 16) | ((low >>> 16) << 24)) >>> 0
      this.lengths[i] = (low >>> 8) & 255
      this.strange[i] = low & 255
    }
    // What the prompt before left must not reach a snapshot.
    this.hashes.fill(0, this.count)
    this.lengths.fill(0, this.count)
    this.strange.fill(0, this.count)
    this.#index()
  }

  #index(): void {
    const stamp = ++this.#stamp
    for (let i = 0; i < this.count; i++) {
      const hash = this.hashes[i] as number
      let at = hash & (tableSize - 1)
      while (this.#stamps[at] === stamp) {
        if (this.hashes[this.#table[at] as number] === hash) break
        at = (at + 1) & (tableSize - 1)
      }
      if (this.#stamps[at] === stamp) {
        const first = this.#table[at] as number
        this.#times[first] = (this.#times[first] as number) + 1
        continue
      }
      this.#stamps[at] = stamp
      this.#table[at] = i
      this.#times[i] = 1
    }
  }

  /** The first chunk with a hash, or −1. */
  find(hash: number): number {
    let at = hash & (tableSize - 1)
    while (this.#stamps[at] === this.#stamp) {
      const i = this.#table[at] as number
      if (this.hashes[i] === hash) return i
      at = (at + 1) & (tableSize - 1)
    }
    return -1
  }

  /** How often a hash occurs. */
  times(hash: number): number {
    const first = this.find(hash)
    return first < 0 ? 0 : (this.#times[first] as number)
  }

  /** The strangeness that a quarter of the chunks stay below: what the prompt's own plain part reads like. */
  plain(): number {
    const sorted = this.#sorted.subarray(0, this.count)
    sorted.set(this.strange.subarray(0, this.count))
    sorted.sort()
    return sorted[this.count >>> 2] ?? 0
  }
}

function quartet(text: string, at: number): number {
  return (
    ((values[text.charCodeAt(at) & 127] as number) << 18) |
    ((values[text.charCodeAt(at + 1) & 127] as number) << 12) |
    ((values[text.charCodeAt(at + 2) & 127] as number) << 6) |
    (values[text.charCodeAt(at + 3) & 127] as number)
  )
}
