import { hash, randomInt, timingSafeEqual } from 'node:crypto'
import type { Instant, Key } from '../schemas/index.ts'

const idAlphabet = '0123456789abcdefghijklmnopqrstuvwxyz'
const secretAlphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const idLength = 12
/** 62^43 > 2^256, so 43 uniform digits carry 256 bits. */
const secretLength = 43
const prefix = 'cordon_'
const keyLength = prefix.length + idLength + 1 + secretLength
const pattern = /^cordon_([0-9a-z]{12})_([0-9A-Za-z]{43})$/
/** What a secret's hash is compared with when there is no such key, so that both cases do the same work; no hash is like it. */
const nobody = '-'.repeat(64)

export interface KeyParts {
  readonly id: string
  readonly secret: string
}

/** How a key stands at a moment; `expired` is never stored, the clock says it. */
export type KeyStanding = 'active' | 'pending' | 'revoked' | 'expired'

export function newKeyId(): string {
  return digits(idAlphabet, idLength)
}

/** 43 base62 digits, uniform: 256 bits. */
export function newSecret(): string {
  return digits(secretAlphabet, secretLength)
}

function digits(alphabet: string, length: number): string {
  let text = ''
  for (let i = 0; i < length; i++) text += alphabet[randomInt(alphabet.length)]
  return text
}

export function formatKey({ id, secret }: KeyParts): string {
  return `${prefix}${id}_${secret}`
}

/** Null for anything that is not written like a key. Input of any length and content is safe. */
export function parseKey(text: string): KeyParts | null {
  if (text.length !== keyLength) return null
  const match = pattern.exec(text)
  return match?.[1] === undefined || match[2] === undefined ? null : { id: match[1], secret: match[2] }
}

/** SHA-256 of the secret's ASCII, hex. A plain hash is enough for 256 random bits: there is nothing to guess. */
export function hashSecret(secret: string): string {
  return hash('sha256', secret, 'hex')
}

/**
 * Whether the secret belongs to the key, in time that depends on neither; an unknown key (undefined) costs the
 * same as a known one.
 */
export function secretMatches(key: Key | undefined, secret: string): boolean {
  return timingSafeEqual(Buffer.from(hashSecret(secret)), Buffer.from(key?.hash ?? nobody))
}

/** A key dies at `expiresAt` by the clock, without anyone saying so. */
export function standingOf(key: Key, now: Instant): KeyStanding {
  if (key.state === 'revoked') return 'revoked'
  if (key.expiresAt !== null && now >= key.expiresAt) return 'expired'
  return key.state
}
