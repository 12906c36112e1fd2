/** Kept in order for each principal: an attack's path begins far from where it ends. */
const recentPerPrincipal = 12

/** Sequence numbers of the last queries of each principal of whom some are remembered. */
export class RecentQueries {
  readonly #of = new Map<string, number[]>()

  constructor(entries: Iterable<readonly [string, readonly number[]]> = []) {
    for (const [principal, seqs] of entries) this.#of.set(principal, [...seqs])
  }

  /** Oldest first. */
  of(principal: string): readonly number[] {
    return this.#of.get(principal) ?? []
  }

  add(principal: string, seq: number): void {
    const own = this.#of.get(principal)
    if (own === undefined) this.#of.set(principal, [seq])
    else if (own.push(seq) > recentPerPrincipal) own.shift()
  }

  remove(principal: string, seq: number): void {
    const own = this.#of.get(principal)
    const at = own === undefined ? -1 : own.indexOf(seq)
    if (own === undefined || at < 0) return
    own.splice(at, 1)
    if (own.length === 0) this.#of.delete(principal)
  }

  entries(): [string, number[]][] {
    return [...this.#of]
  }
}
