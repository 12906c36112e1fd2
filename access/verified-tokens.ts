import { hash } from 'node:crypto'
import type { VerifiedToken } from './oidc/issuer.ts'

/**
 * Tokens that were verified before, by their SHA-256: no token is kept, and how long a look takes says nothing about it. Beyond its bound
 * the one that was used least lately makes room.
 */
export class VerifiedTokens {
  readonly #most: number
  readonly #byHash = new Map<string, VerifiedToken>()

  constructor(most: number) {
    this.#most = most
  }

  get size(): number {
    return this.#byHash.size
  }

  get(key: string): VerifiedToken | undefined {
    const verified = this.#byHash.get(key)
    if (verified === undefined) return undefined
    this.#byHash.delete(key)
    this.#byHash.set(key, verified)
    return verified
  }

  add(key: string, verified: VerifiedToken): void {
    this.#byHash.set(key, verified)
    if (this.#byHash.size <= this.#most) return
    const [oldest] = this.#byHash.keys()
    if (oldest !== undefined) this.#byHash.delete(oldest)
  }

  drop(key: string): void {
    this.#byHash.delete(key)
  }
}

/** What a token is known by. */
export function digestOf(token: string): string {
  return hash('sha256', token, 'base64')
}
