/** What a detector remembers of each principal: the one longest silent is forgotten where there are too many. */
export class Remembered<T> {
  readonly #most: number
  readonly #make: () => T
  readonly #each = new Map<string, T>()

  constructor(most: number, make: () => T) {
    this.#most = most
    this.#make = make
  }

  of(principal: string): T {
    const known = this.#each.get(principal)
    this.#each.delete(principal)
    const kept = known ?? this.#make()
    this.#each.set(principal, kept)
    if (this.#each.size > this.#most) for (const oldest of this.#each.keys()) return this.#forget(oldest, kept)
    return kept
  }

  #forget(oldest: string, kept: T): T {
    this.#each.delete(oldest)
    return kept
  }
}
