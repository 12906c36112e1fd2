import { framed, hashFramed, noHash, readPlace } from './record.ts'
import { Frontier } from './tree.ts'

/** Where a chain stands, as text can carry it. */
export interface ChainState {
  readonly log: string
  readonly size: number
  /** Hash of the last record, base64. */
  readonly head: string
  /** Of the tree over all records, base64; see {@link Frontier.of}. */
  readonly subtrees: readonly string[]
}

/** One log of a writer: each record has the hash of the one before it, and a Merkle tree is over all. */
export class Chain {
  readonly log: string
  readonly #frontier: Frontier
  #head: string

  constructor({ log, size, head, subtrees }: ChainState) {
    this.log = log
    this.#frontier = Frontier.of(
      size,
      subtrees.map((text) => Buffer.from(text, 'base64')),
    )
    this.#head = head
  }

  static empty(log: string): Chain {
    return new Chain({ log, size: 0, head: noHash, subtrees: [] })
  }

  get size(): number {
    return this.#frontier.size
  }

  get head(): string {
    return this.#head
  }

  /** @param line made for this place. Returns its hash. */
  push(bytes: Buffer): Buffer {
    const leaf = hashFramed(bytes)
    this.#frontier.push(leaf)
    this.#head = leaf.toString('base64')
    return leaf
  }

  /** Takes a record that was written before; false where it does not follow. */
  take(line: string): boolean {
    const place = readPlace(Buffer.from(line))
    if (place?.log !== this.log || place.seq !== this.size || place.prev !== this.#head) return false
    this.push(framed(line))
    return true
  }

  root(): Buffer {
    return this.#frontier.root()
  }

  state(): ChainState {
    const subtrees = this.#frontier.subtrees().map((subtree) => subtree.toString('base64'))
    return { log: this.log, size: this.size, head: this.#head, subtrees }
  }
}
