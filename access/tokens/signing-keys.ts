import { createHash, createPrivateKey, createPublicKey, hkdfSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { Instant } from '../../schemas/index.ts'

const dayMs = 24 * 60 * 60 * 1_000
/** PKCS #8 of an Ed25519 key, up to its 32 bytes (RFC 8410). */
const pkcs8 = Buffer.from('302e020100300506032b657004220420', 'hex')
/** Days that are asked for at once: yesterday, today, tomorrow. */
const maxKept = 4

/** By which our tokens are known among all others, and which no other issuer has reason to use. */
export const kidPrefix = 'cordon.'

export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

/**
 * Ed25519 keys by day (UTC), derived with HKDF-SHA-256 from a secret that every node has: all nodes sign and verify alike
 * without telling each other anything, and each key is replaced by itself. Who has the secret has the key of every day:
 * rotation bounds what is done with one signature key, not what is done with the secret.
 */
export class SigningKeys {
  readonly #secret: Uint8Array
  readonly #byDay = new Map<number, SigningKey>()

  constructor(secret: Uint8Array) {
    this.#secret = secret
  }

  at(now: Instant): SigningKey {
    return this.#of(Math.floor(now / dayMs))
  }

  /** Those of a time, oldest first; of at most three days. */
  between(from: Instant, until: Instant): readonly SigningKey[] {
    const last = Math.floor(until / dayMs)
    const first = Math.max(Math.floor(from / dayMs), last - 2, 0)
    return Array.from({ length: last - first + 1 }, (_, i) => this.#of(first + i))
  }

  #of(day: number): SigningKey {
    let key = this.#byDay.get(day)
    if (key === undefined) {
      key = derive(this.#secret, day)
      this.#byDay.set(day, key)
      const [oldest] = this.#byDay.keys()
      if (this.#byDay.size > maxKept && oldest !== undefined) this.#byDay.delete(oldest)
    }
    return key
  }
}

/** What others verify with (RFC 8037). */
export function jwkOf({ kid, publicKey }: SigningKey): JsonWebKey {
  return { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'EdDSA' }
}

function derive(secret: Uint8Array, day: number): SigningKey {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', `cordon/token-signing/1/${day}`, 32))
  const privateKey = createPrivateKey({ key: Buffer.concat([pkcs8, seed]), format: 'der', type: 'pkcs8' })
  const publicKey = createPublicKey(privateKey)
  // With a digest of the key: of the same day under another secret it is another key.
  const digest = createHash('sha256')
    .update(publicKey.export({ format: 'der', type: 'spki' }))
    .digest('hex')
    .slice(0, 8)
  return { kid: `${kidPrefix}${new Date(day * dayMs).toISOString().slice(0, 10)}.${digest}`, privateKey, publicKey }
}
