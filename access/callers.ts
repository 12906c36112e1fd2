import { hash } from 'node:crypto'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { LastUsed } from '../bounded/last-used.ts'
import type { Instant, Key } from '../schemas/index.ts'
import { openAuthenticationMetrics } from './authentication-metrics.ts'
import type { BearerVerifier } from './bearer-verifier.ts'
import type { Certificates } from './certificates.ts'
import type { Failures } from './failures.ts'
import type { Authentication, AuthenticationFailure, Authenticator, Credentials, Identity } from './identity.ts'
import type { KeyRegistry } from './key-registry.ts'
import { standingOf } from './keys.ts'
import { mayBear, type OidcIssuer, type VerifiedToken } from './oidc/issuer.ts'
import { looksLikeJwt, peek } from './oidc/peek.ts'

export interface AuthenticatorOptions {
  readonly keys: Pick<KeyRegistry, 'verify' | 'get'>
  /** Of JWT bearers; each has an `iss` of its own. */
  readonly oidc: readonly OidcIssuer[]
  readonly certificates: Certificates
  /** Of tokens that we issue ourselves; asked before all others. */
  readonly tokens?: BearerVerifier | undefined
  readonly failures: Failures
  /** What stands for an address in the log. */
  readonly pseudonym: (address: string) => string
  readonly log: Logger
  readonly registry: Registry
  /** Verified JWTs in memory. Default 10,000. */
  readonly maxTokens?: number
  /** Characters of a JWT. Default 8,192. */
  readonly maxTokenBytes?: number
}

/** Not the caller's fault, or nothing that anybody tried. */
const uncounted: ReadonlySet<AuthenticationFailure> = new Set(['missing', 'provider-away', 'too-many-failures'])

/**
 * Who calls, by the shape of what they bring:
 *
 * ```
 *  too many failures from there      refused before anything is looked at, with the time to wait
 *  our own token                     whoever issues those
 *  cordon_…                          an API key: from the view, at once
 *  three parts of base64url          a JWT: of its issuer's keys; at once where it was verified before
 *  anything else                     malformed
 *  no bearer                         the client's certificate, else missing
 * ```
 *
 * A bearer that is refused is not saved by a certificate: whoever sends one means it.
 */
export function openAuthenticator(options: AuthenticatorOptions): Authenticator {
  return new Callers(options)
}

class Callers implements Authenticator {
  readonly #options: AuthenticatorOptions
  readonly #maxTokenBytes: number
  readonly #issuers: ReadonlyMap<string, OidcIssuer>
  /** Tokens that were verified before, by their SHA-256: no token is kept, and how long a look takes says nothing about it. */
  readonly #verified: LastUsed<string, VerifiedToken>
  /** What an identity came of, for as long as somebody holds it. */
  readonly #tokenOf = new WeakMap<Identity, VerifiedToken>()
  readonly #identityOf = new WeakMap<Key, Identity>()
  readonly #metrics: ReturnType<typeof openAuthenticationMetrics>

  constructor(options: AuthenticatorOptions) {
    this.#options = options
    this.#maxTokenBytes = options.maxTokenBytes ?? 8_192
    this.#issuers = new Map(options.oidc.map((issuer) => [issuer.settings.issuer, issuer]))
    this.#verified = new LastUsed(options.maxTokens ?? 10_000)
    this.#metrics = openAuthenticationMetrics(options.registry, options.failures, this.#verified)
  }

  authenticate(credentials: Credentials, now: Instant): Authentication | Promise<Authentication> {
    const retryMs = this.#options.failures.waitMs(credentials.address, now)
    if (retryMs > 0) return this.#noted({ ok: false, reason: 'too-many-failures', retryMs }, credentials, now)
    const answer = this.#decide(credentials, now)
    if (answer instanceof Promise) return answer.then((decided) => this.#noted(decided, credentials, now))
    return this.#noted(answer, credentials, now)
  }

  isGood(identity: Identity, now: Instant): boolean {
    const { keys, tokens } = this.#options
    switch (identity.method) {
      case 'key': {
        const key = keys.get(identity.keyId ?? '')
        return key !== undefined && standingOf(key, now) === 'active'
      }
      case 'oidc': {
        const token = this.#tokenOf.get(identity)
        return token !== undefined && token.issuer.objection(token, now) === undefined
      }
      case 'token':
        return tokens?.isGood(identity, now) ?? false
      case 'certificate':
        return identity.expiresAt !== null && now < identity.expiresAt
    }
  }

  #decide(credentials: Credentials, now: Instant): Authentication | Promise<Authentication> {
    const { bearer, certificate } = credentials
    const { tokens, certificates } = this.#options
    if (bearer === undefined) return certificate === null ? failed('missing') : certificates.authenticate(certificate, now)
    if (tokens?.takes(bearer)) return tokens.authenticate(bearer, credentials, now)
    if (bearer.startsWith('cordon_')) return this.#byKey(bearer, credentials, now)
    if (!looksLikeJwt(bearer, this.#maxTokenBytes)) return failed('malformed')
    return this.#byToken(bearer, credentials, now)
  }

  #byKey(bearer: string, credentials: Credentials, now: Instant): Authentication {
    const { keys } = this.#options
    const verified = keys.verify(bearer, now, credentials)
    if (!verified.ok) return failed(verified.reason)
    const key = keys.get(verified.keyId)
    if (key === undefined) return failed('unknown')
    let identity = this.#identityOf.get(key)
    if (identity === undefined) {
      identity = identityOfKey(key)
      this.#identityOf.set(key, identity)
    }
    return { ok: true, identity }
  }

  #byToken(bearer: string, { certificate }: Credentials, now: Instant): Authentication | Promise<Authentication> {
    const digest = hash('sha256', bearer, 'base64')
    const before = this.#verified.get(digest)
    const objection = before?.issuer.objection(before, now)
    if (before !== undefined && objection === undefined) return mayBear(before, certificate) ? ok(before.identity) : failed('replayed')
    if (before !== undefined && objection === 'provider-away') return away(before.issuer, now)
    // Its key is gone, or its time is over: it is looked at as if it had never been.
    this.#verified.delete(digest)
    const said = peek(bearer)
    if (said === null) return failed('malformed')
    const issuer = this.#issuers.get(said.issuer)
    if (issuer === undefined) return failed('wrong-issuer')
    return issuer.verify(bearer, said.header, now).then((verified) => {
      if (verified === 'provider-away') return away(issuer, now)
      if (typeof verified === 'string') return failed(verified)
      this.#verified.set(digest, verified)
      this.#tokenOf.set(verified.identity, verified)
      return mayBear(verified, certificate) ? ok(verified.identity) : failed('replayed')
    })
  }

  #noted(answer: Authentication, { address }: Credentials, now: Instant): Authentication {
    if (answer.ok) {
      this.#metrics.succeeded(answer.identity.method)
      return answer
    }
    const { reason } = answer
    this.#metrics.failed(reason)
    if (uncounted.has(reason)) return answer
    const untold = this.#options.failures.add(address, now)
    // The last reason stands for them all; how many of which there were is counted.
    if (untold > 0) {
      const { log, pseudonym } = this.#options
      log.warn({ source: pseudonym(address), reason, failures: untold }, 'access: refused credentials')
    }
    return answer
  }
}

function ok(identity: Identity): Authentication {
  return { ok: true, identity }
}

function failed(reason: AuthenticationFailure): Authentication {
  return { ok: false, reason }
}

/** The token may be good: its bearer is asked to come back, and nothing is held against them. */
function away(issuer: OidcIssuer, now: Instant): Authentication {
  return { ok: false, reason: 'provider-away', retryMs: issuer.retryMs(now) }
}

function identityOfKey({ id, principal, organization, roles, capabilities, createdAt, expiresAt }: Key): Identity {
  return { principal, organization, method: 'key', keyId: id, roles, capabilities, createdAt, expiresAt, secondFactorAt: null }
}
