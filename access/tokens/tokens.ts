import { hash, randomUUID, verify } from 'node:crypto'
import { SignJWT } from 'jose'
import { z } from 'zod'
import { LastUsed } from '../../bounded/last-used.ts'
import type { Capability, Instant, Key } from '../../schemas/index.ts'
import type { BearerVerifier } from '../bearer-verifier.ts'
import type { Authentication, AuthenticationFailure, Credentials, Identity } from '../identity.ts'
import type { KeyRegistry } from '../key-registry.ts'
import { standingOf } from '../keys.ts'
import { mayUseFrom } from '../place.ts'
import { kidPrefix, type SigningKey, SigningKeys } from './signing-keys.ts'

/** How far the clock of the node that issued a token may be from ours. */
const skewMs = 60_000
const maxLength = 2_048
const algorithm = 'EdDSA'
const type = 'at+jwt'

const Claims = z.object({
  iss: z.string(),
  aud: z.string(),
  sub: z.string(),
  client_id: z.string(),
  iat: z.int(),
  exp: z.int(),
  jti: z.string(),
  scope: z.string(),
})
type Claims = z.infer<typeof Claims>

/** A token whose signature and issuer were found good, and who its bearer was under a key as it stood. */
interface Known {
  readonly claims: Claims
  seen: { readonly key: Key; readonly identity: Identity } | null
}

export interface TokensOptions {
  /** The same on every node. */
  readonly secret: Uint8Array
  readonly issuer: string
  readonly audience: string
  /** Milliseconds. */
  readonly lifeMs: number
  readonly keys: Pick<KeyRegistry, 'get'>
  /** Tokens whose signature is known to be good. Default 10,000. */
  readonly maxTokens?: number
}

export interface IssuedToken {
  readonly token: string
  readonly expiresInSeconds: number
  readonly scope: string
}

/**
 * Access tokens of our own (RFC 9068), for the holders of keys: `sub` is the principal, `client_id` the key's id. A token
 * is worth what its key is worth when it is used: it dies with the key, and is bound to the key's places.
 *
 * No token says by what it is to be verified: its header is compared with those that we would have written, whole.
 */
export class Tokens implements BearerVerifier {
  readonly #options: TokensOptions
  readonly #signing: SigningKeys
  /** By SHA-256. */
  readonly #known: LastUsed<string, Known>

  constructor(options: TokensOptions) {
    this.#options = options
    this.#signing = new SigningKeys(options.secret)
    this.#known = new LastUsed(options.maxTokens ?? 10_000)
  }

  /** Tokens whose signature is known to be good. */
  get size(): number {
    return this.#known.size
  }

  /**
   * @param key that authenticated whoever asks
   * @param scope of the key's capabilities
   */
  async issue(key: Key, scope: readonly Capability[], now: Instant): Promise<IssuedToken> {
    const { issuer, audience, lifeMs } = this.#options
    const { kid, privateKey } = this.#signing.at(now)
    const issued = Math.floor(now / 1_000)
    const expires = Math.floor(Math.min(now + lifeMs, key.expiresAt ?? Number.POSITIVE_INFINITY) / 1_000)
    const said = scope.join(' ')
    const token = await new SignJWT({ client_id: key.id, scope: said })
      .setProtectedHeader(headerOf(kid))
      .setIssuer(issuer)
      .setAudience(audience)
      .setSubject(key.principal)
      .setJti(randomUUID())
      .setIssuedAt(issued)
      .setExpirationTime(expires)
      .sign(privateKey)
    return { token, expiresInSeconds: expires - issued, scope: said }
  }

  /** Those that others verify with: of today, of tokens that still live, and of tomorrow, for who fetches them seldom. */
  published(now: Instant): readonly SigningKey[] {
    return this.#signing.between(now - this.#options.lifeMs - skewMs, now + 24 * 60 * 60 * 1_000)
  }

  takes(bearer: string): boolean {
    return bearer.startsWith(ourHeader)
  }

  authenticate(bearer: string, credentials: Credentials, now: Instant): Authentication {
    const known = this.#open(bearer, now)
    if (typeof known === 'string') return { ok: false, reason: known }
    const { claims } = known
    if (now >= claims.exp * 1_000) return { ok: false, reason: 'expired' }
    if (claims.iat * 1_000 > now + skewMs) return { ok: false, reason: 'not-yet-valid' }
    const key = this.#options.keys.get(claims.client_id)
    if (key === undefined || key.principal !== claims.sub) return { ok: false, reason: 'unknown' }
    const standing = standingOf(key, now)
    if (standing !== 'active') return { ok: false, reason: standing }
    if (!mayUseFrom(key, credentials)) return { ok: false, reason: 'bad-place' }
    if (known.seen?.key !== key) known.seen = { key, identity: identityOf(claims, key) }
    return { ok: true, identity: known.seen.identity }
  }

  isGood({ principal, keyId, expiresAt }: Identity, now: Instant): boolean {
    const key = this.#options.keys.get(keyId ?? '')
    if (key === undefined || key.principal !== principal || standingOf(key, now) !== 'active') return false
    return expiresAt !== null && now < expiresAt
  }

  #open(bearer: string, now: Instant): Known | AuthenticationFailure {
    if (bearer.length > maxLength) return 'malformed'
    const digest = hash('sha256', bearer, 'base64')
    const before = this.#known.get(digest)
    if (before !== undefined) return before
    const claims = this.#verify(bearer, now)
    if (typeof claims === 'string') return claims
    const known: Known = { claims, seen: null }
    this.#known.set(digest, known)
    return known
  }

  #verify(bearer: string, now: Instant): Claims | AuthenticationFailure {
    const parts = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]{86})$/.exec(bearer)
    const [, header, payload, signature] = parts ?? []
    if (header === undefined || payload === undefined || signature === undefined) return 'malformed'
    const { issuer, audience, lifeMs } = this.#options
    const keys = this.#signing.between(now - lifeMs - skewMs, now + skewMs)
    const key = keys.find(({ kid }) => encoded(headerOf(kid)) === header)
    if (key === undefined) return 'bad-signature'
    const signed = Buffer.from(`${header}.${payload}`)
    if (!verify(null, signed, key.publicKey, Buffer.from(signature, 'base64url'))) return 'bad-signature'
    const claims = Claims.safeParse(parse(payload))
    if (!claims.success) return 'bad-claims'
    if (claims.data.iss !== issuer) return 'wrong-issuer'
    return claims.data.aud === audience ? claims.data : 'wrong-audience'
  }
}

function headerOf(kid: string) {
  return { alg: algorithm, typ: type, kid }
}

function encoded(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

/** How our headers begin, up to the last whole three bytes. */
const opening = JSON.stringify(headerOf(kidPrefix)).slice(0, -2)
const ourHeader = Buffer.from(opening.slice(0, opening.length - (opening.length % 3))).toString('base64url')

function parse(payload: string): unknown {
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}

/** What the token asks for, of what the key still may. */
function identityOf({ scope, exp }: Claims, key: Key): Identity {
  const asked = scope.split(' ')
  return {
    principal: key.principal,
    organization: key.organization,
    method: 'token',
    keyId: key.id,
    roles: key.roles,
    capabilities: key.capabilities.filter((one) => asked.includes(one)),
    createdAt: key.createdAt,
    expiresAt: exp * 1_000,
    secondFactorAt: null,
  }
}
