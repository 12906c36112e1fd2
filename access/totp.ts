import { timingSafeEqual } from 'node:crypto'
import { HOTP, Secret, TOTP } from 'otpauth'
import type { Instant } from '../schemas/index.ts'

/** What authenticator applications assume where nobody says otherwise. */
const algorithm = 'SHA1'
const digits = 6
const periodMs = 30_000
/** As long as the output of SHA-1, as RFC 4226 section 4 recommends. */
const secretBytes = 20

/** 160 random bits, base32: what is typed into an authenticator. */
export function newTotpSecret(): string {
  return new Secret({ size: secretBytes }).base32
}

/** What an authenticator reads from a QR code. */
export function totpUri(account: string, secret: string): string {
  return new TOTP({ issuer: 'Cordon', label: account, algorithm, digits, period: periodMs / 1_000, secret }).toString()
}

/**
 * The time step that a code belongs to (RFC 6238): the present one, the one before or the one after, since clocks differ
 * and people are slow. Null where it belongs to none. All three are compared whichever matches, each in constant time.
 */
export function stepOfCode(secret: string, code: string, now: Instant): number | null {
  if (!/^[0-9]{6}$/.test(code)) return null
  const key = Secret.fromBase32(secret)
  const given = Buffer.from(code)
  const present = Math.floor(now / periodMs)
  let found: number | null = null
  for (const step of [present - 1, present, present + 1]) {
    const expected = Buffer.from(HOTP.generate({ secret: key, algorithm, digits, counter: step }))
    if (timingSafeEqual(given, expected)) found = step
  }
  return found
}
