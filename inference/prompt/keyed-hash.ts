import { hash } from 'node:crypto'

/** Bytes of UTF-8 that are written in place; longer texts get a buffer of their own. */
const kept = 65_536

/**
 * Hashes texts under a secret. It writes their UTF-8 itself: a string that is hashed, and then asked how many bytes it has, is encoded
 * for each, which beyond Latin takes longer than most else that is done with a prompt.
 */
export class KeyedHash {
  readonly #secret: string
  readonly #bytes = Buffer.alloc(kept)

  /** @param secret ASCII */
  constructor(secret: string) {
    this.#secret = secret
  }

  /** @returns 64 bits, hex, and how many bytes of UTF-8 the text has */
  of(text: string): { readonly hash: string; readonly bytes: number } {
    const whole = this.#secret + text
    const utf8 = 3 * whole.length <= kept ? this.#bytes.subarray(0, this.#bytes.write(whole)) : Buffer.from(whole)
    return { hash: hash('sha256', utf8).slice(0, 16), bytes: utf8.length - this.#secret.length }
  }
}
