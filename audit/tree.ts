import { hash } from 'node:crypto'

const pair = Buffer.alloc(65)
pair[0] = 1

/** Hash of an inner node, RFC 9162 §2.1.1: SHA-256 of a one byte and both children. */
export function nodeHash(left: Buffer, right: Buffer): Buffer {
  left.copy(pair, 1)
  right.copy(pair, 33)
  return hash('sha256', pair, 'buffer')
}

/** The root of no leaves. */
const emptyRoot = hash('sha256', Buffer.alloc(0), 'buffer')

/** A Merkle tree (RFC 9162 §2.1) that only grows, of which the roots of its full subtrees are kept: one for each bit of its size. */
export class Frontier {
  readonly #subtrees: Buffer[] = []
  #size = 0

  /** @param subtrees those of the set bits of `size`, the smallest first */
  static of(size: number, subtrees: readonly Buffer[]): Frontier {
    const frontier = new Frontier()
    frontier.#size = size
    let next = 0
    for (let level = 0, rest = size; rest > 0; level++, rest = Math.floor(rest / 2)) {
      frontier.#subtrees[level] = (rest % 2 === 1 ? subtrees[next++] : undefined) ?? emptyRoot
    }
    return frontier
  }

  get size(): number {
    return this.#size
  }

  push(leaf: Buffer): void {
    let node = leaf
    let level = 0
    for (let rest = this.#size; rest % 2 === 1; rest = (rest - 1) / 2) node = nodeHash(this.#subtrees[level++] ?? emptyRoot, node)
    this.#subtrees[level] = node
    this.#size++
  }

  /** The smallest first; see {@link Frontier.of}. */
  subtrees(): Buffer[] {
    const found: Buffer[] = []
    for (let level = 0, rest = this.#size; rest > 0; level++, rest = Math.floor(rest / 2)) {
      const subtree = this.#subtrees[level]
      if (rest % 2 === 1 && subtree !== undefined) found.push(subtree)
    }
    return found
  }

  root(): Buffer {
    const [smallest, ...larger] = this.subtrees()
    return smallest === undefined ? emptyRoot : larger.reduce((right, left) => nodeHash(left, right), smallest)
  }
}

/** All levels of a tree over leaves that are known, to prove that they are in it. */
export class FullTree {
  /** Leaves first. Of a node without a sibling the one above is the same. */
  readonly #levels: Buffer[][]

  constructor(leaves: readonly Buffer[]) {
    this.#levels = [[...leaves]]
    for (let below = this.#levels[0] ?? []; below.length > 1; ) {
      const level: Buffer[] = []
      for (let at = 0; at < below.length; at += 2) {
        const [left, right] = [below[at], below[at + 1]]
        if (left !== undefined) level.push(right === undefined ? left : nodeHash(left, right))
      }
      this.#levels.push(level)
      below = level
    }
  }

  root(): Buffer {
    return this.#levels.at(-1)?.[0] ?? emptyRoot
  }

  /** Siblings on the way from a leaf to the root, RFC 9162 §2.1.3.1. */
  path(index: number): Buffer[] {
    const path: Buffer[] = []
    let at = index
    for (const level of this.#levels.slice(0, -1)) {
      const sibling = level[at % 2 === 0 ? at + 1 : at - 1]
      if (sibling !== undefined) path.push(sibling)
      at = Math.floor(at / 2)
    }
    return path
  }
}

/** The root that a leaf and its path lead to, RFC 9162 §2.1.3.2; null where the path does not fit the size. */
export function rootOfPath(leaf: Buffer, index: number, size: number, path: readonly Buffer[]): Buffer | null {
  if (!(index >= 0 && index < size)) return null
  let [at, last, node] = [index, size - 1, leaf]
  for (const sibling of path) {
    if (last === 0 || sibling.length !== 32) return null
    if (at % 2 === 1 || at === last) {
      node = nodeHash(sibling, node)
      while (at % 2 === 0 && at !== 0) [at, last] = [at / 2, Math.floor(last / 2)]
    } else node = nodeHash(node, sibling)
    at = Math.floor(at / 2)
    last = Math.floor(last / 2)
  }
  return last === 0 ? node : null
}
