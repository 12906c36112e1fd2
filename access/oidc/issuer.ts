import { errors, type JWTPayload, jwtVerify } from 'jose'
import type { Instant } from '../../schemas/index.ts'
import type { AuthenticationFailure, ClientCertificate, Identity } from '../identity.ts'
import { identityOf } from './claims.ts'
import type { Header } from './peek.ts'
import { ProviderKeys, type ProviderKeysOptions } from './provider-keys.ts'
import type { IssuerSettings } from './settings.ts'

/** A token that was verified, and what it hangs on. */
export interface VerifiedToken {
  readonly identity: Identity
  readonly issuer: OidcIssuer
  /** Thumbprint of the key that signed it. */
  readonly signer: string
  readonly expiresAt: Instant
  /** SHA-256 of the certificate that it is bound to (RFC 8705), lower-case hex; null for whoever bears it. */
  readonly boundTo: string | null
}

export type OidcIssuerOptions = ProviderKeysOptions

export class OidcIssuer {
  readonly settings: IssuerSettings
  readonly #keys: ProviderKeys
  readonly #types: ReadonlySet<string>

  constructor(options: OidcIssuerOptions) {
    this.settings = options.settings
    this.#keys = new ProviderKeys(options)
    this.#types = new Set(options.settings.types.map(plainType))
  }

  /** Begins to fetch the keys, so that the first caller need not wait. */
  start(now: Instant): void {
    this.#keys.keepCurrent(now)
  }

  retryMs(now: Instant): number {
    return this.#keys.retryMs(now)
  }

  /** @returns what the token says, or why it does not count. Never rejects. */
  async verify(token: string, header: Header, now: Instant): Promise<VerifiedToken | AuthenticationFailure> {
    const { algorithms, untyped } = this.settings
    // Before anything is fetched or computed. The list has no `none` and no HMAC, so no public key is ever taken for a secret.
    if (!algorithms.some((algorithm) => algorithm === header.alg)) return 'bad-signature'
    if (header.typ === undefined ? !untyped : !this.#types.has(plainType(header.typ))) return 'bad-claims'
    try {
      const found = await this.#keys.find(header, now)
      if (found === null) return 'provider-away'
      if (found === undefined) return 'bad-signature'
      const { payload } = await jwtVerify(token, found.key, this.#checks(now))
      return this.#verified(payload, found.thumbprint, now)
    } catch (error) {
      return failureOf(error)
    }
  }

  /** Why a token that was verified before no longer counts; undefined where it does. */
  objection({ expiresAt, signer }: VerifiedToken, now: Instant): AuthenticationFailure | undefined {
    this.#keys.keepCurrent(now)
    if (now >= expiresAt) return 'expired'
    if (!this.#keys.usable(now)) return 'provider-away'
    return this.#keys.holds(signer) ? undefined : 'bad-signature'
  }

  #checks(now: Instant) {
    const { issuer, audience, algorithms, clockSkewMs, maxTokenAgeMs } = this.settings
    return {
      issuer,
      audience,
      algorithms,
      clockTolerance: clockSkewMs / 1_000,
      maxTokenAge: maxTokenAgeMs / 1_000,
      requiredClaims: ['exp', 'iat'],
      currentDate: new Date(now),
    }
  }

  #verified(payload: JWTPayload, signer: string, now: Instant): VerifiedToken | AuthenticationFailure {
    const identity = identityOf(payload, this.settings, now)
    const boundTo = boundCertificate(payload)
    if (identity === null || boundTo === undefined) return 'bad-claims'
    const expiresAt = (identity.expiresAt ?? now) + this.settings.clockSkewMs
    return { identity, issuer: this, signer, expiresAt, boundTo }
  }
}

/** A bound token counts only with its certificate: who stole it has no use of it. */
export function mayBear({ boundTo }: VerifiedToken, certificate: ClientCertificate | null): boolean {
  return boundTo === null || certificate?.fingerprint === boundTo
}

/** Null where it is bound to nothing; undefined where it is bound to what we cannot check, DPoP's keys among it: fail closed. */
function boundCertificate({ cnf }: JWTPayload): string | null | undefined {
  if (cnf === undefined) return null
  if (typeof cnf !== 'object' || cnf === null) return undefined
  const entries = Object.entries(cnf)
  const [name, digest] = entries[0] ?? []
  if (entries.length !== 1 || name !== 'x5t#S256' || typeof digest !== 'string' || !/^[\w-]{43}$/.test(digest)) return undefined
  return Buffer.from(digest, 'base64url').toString('hex')
}

/** `typ` is compared without case, and `application/` may be left out (RFC 7515, 4.1.9). */
function plainType(typ: string): string {
  return typ.toLowerCase().replace(/^application\//, '')
}

function failureOf(error: unknown): AuthenticationFailure {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed) return failureOfClaim(error)
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'malformed'
  return 'bad-signature'
}

function failureOfClaim({ claim, reason }: errors.JWTClaimValidationFailed): AuthenticationFailure {
  if (claim === 'aud') return 'wrong-audience'
  if (claim === 'iss') return 'wrong-issuer'
  return reason === 'check_failed' && (claim === 'nbf' || claim === 'iat') ? 'not-yet-valid' : 'bad-claims'
}
