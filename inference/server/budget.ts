/** How long somebody who was refused counts as wanting, milliseconds: about as long as it is asked to wait. */
const wantedMs = 2_000
/** Share of the budget that one principal may hold while others want some, and while nobody does. */
const contendedShare = 0.25
const aloneShare = 0.75

/**
 * Bytes of bodies that are in memory, and whose. A principal that is alone may hold three quarters, so that whoever comes finds
 * room; once another holds or wants some, a quarter. Pure: the time is an argument. Holds as many principals as hold bytes.
 */
export class Budget {
  readonly #bytes: number
  readonly #held = new Map<string, number>()
  #total = 0
  /** Who wanted some last, and when somebody else did last. */
  #wanter: string | undefined
  #wantedAt = Number.NEGATIVE_INFINITY
  #otherAt = Number.NEGATIVE_INFINITY

  constructor(bytes: number) {
    this.#bytes = bytes
  }

  /** Bytes that are held. */
  get total(): number {
    return this.#total
  }

  heldBy(principal: string): number {
    return this.#held.get(principal) ?? 0
  }

  /** Takes the bytes, or nothing. */
  reserve(principal: string, bytes: number, now: number): boolean {
    const held = this.#held.get(principal) ?? 0
    this.#want(principal, now)
    const contended = this.#total > held || now - this.#otherAt < wantedMs
    const share = contended ? contendedShare : aloneShare
    // One that holds nothing gets its first body in any case that has room: a budget smaller than four bodies would serve nobody.
    const fair = held === 0 || held + bytes <= this.#bytes * share
    if (!fair || this.#total + bytes > this.#bytes) return false
    this.#held.set(principal, held + bytes)
    this.#total += bytes
    return true
  }

  release(principal: string, bytes: number): void {
    const left = (this.#held.get(principal) ?? 0) - bytes
    if (left > 0) this.#held.set(principal, left)
    else this.#held.delete(principal)
    this.#total -= bytes
  }

  #want(principal: string, now: number): void {
    if (principal !== this.#wanter) {
      this.#otherAt = this.#wantedAt
      this.#wanter = principal
    }
    this.#wantedAt = now
  }
}
