import { type CryptoKey, calculateJwkThumbprint, createLocalJWKSet, errors, type JWK } from 'jose'
import { z } from 'zod'
import type { Instant } from '../../schemas/index.ts'
import { AccessError } from '../errors.ts'
import type { Header } from './peek.ts'
import { type IssuerSettings, isSafe } from './settings.ts'

const Discovery = z.object({ issuer: z.string(), jwks_uri: z.url() })
/** Of the published keys only those with which signatures are made; secrets (`oct`) never. */
const Published = z.object({
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string().optional(), use: z.string().optional() })).max(100),
})
const asymmetric: ReadonlySet<string> = new Set(['RSA', 'EC', 'OKP'])
/** Least time between tries while the issuer is away; `cooldownMs` where that is less. */
const retryMs = 5_000

/** One of the issuer's keys. */
interface PublishedKey {
  /** RFC 7638 thumbprint: a key is what it is, not what it is called. */
  readonly thumbprint: string
  readonly kid: string | undefined
  readonly resolve: ReturnType<typeof createLocalJWKSet>
}

export interface SigningKey {
  readonly thumbprint: string
  readonly key: CryptoKey
}

export interface ProviderKeysOptions {
  readonly settings: IssuerSettings
  /** Fetches JSON, bounded in size and time. */
  readonly download: (url: string, withinMs: number) => Promise<unknown>
  readonly clock: () => Instant
  /** Told when they could not be fetched. */
  readonly onError: (error: unknown) => void
}

/**
 * The keys of one issuer, kept in mind for `jwksMaxAgeMs`, fetched again behind that without anybody waiting, and once in
 * `cooldownMs` where a token names a key that is not known. While the issuer is away they count for `staleMs` more.
 */
export class ProviderKeys {
  readonly #options: ProviderKeysOptions
  readonly #keptMs: number
  readonly #retryMs: number
  #keys: readonly PublishedKey[] = []
  #thumbprints: ReadonlySet<string> = new Set()
  #fetchedAt: Instant | undefined
  #triedAt: Instant | undefined
  #fetching: Promise<void> | undefined

  constructor(options: ProviderKeysOptions) {
    this.#options = options
    const { jwksMaxAgeMs, staleMs, cooldownMs } = options.settings
    this.#keptMs = jwksMaxAgeMs + staleMs
    this.#retryMs = Math.min(retryMs, cooldownMs)
  }

  /** Whether there are keys that still count. */
  usable(now: Instant): boolean {
    return this.#fetchedAt !== undefined && now - this.#fetchedAt < this.#keptMs
  }

  holds(thumbprint: string): boolean {
    return this.#thumbprints.has(thumbprint)
  }

  /** How long until there may be keys again. */
  retryMs(now: Instant): number {
    return this.#triedAt === undefined ? this.#retryMs : Math.max(1, this.#retryMs - Math.max(0, now - this.#triedAt))
  }

  /** Begins to fetch where that is due; nobody waits. */
  keepCurrent(now: Instant): void {
    const { jwksMaxAgeMs } = this.#options.settings
    if (this.#fetchedAt !== undefined && now - this.#fetchedAt < jwksMaxAgeMs && now >= this.#fetchedAt) return
    void this.#fetch(now, this.#retryMs)
  }

  /** The one key that a header means: undefined where there is none, or more than one; null while the issuer is away. */
  async find(header: Header, now: Instant): Promise<SigningKey | undefined | null> {
    if (this.usable(now)) this.keepCurrent(now)
    else await this.#fetch(now, this.#retryMs)
    if (!this.usable(now)) return null
    const found = await this.#match(header)
    if (found !== undefined) return found
    await this.#fetch(now, this.#options.settings.cooldownMs)
    return this.#match(header)
  }

  async #match(header: Header): Promise<SigningKey | undefined> {
    let found: SigningKey | undefined
    for (const { kid, thumbprint, resolve } of this.#keys) {
      if (header.kid !== undefined && header.kid !== kid) continue
      const key = await resolve(header).catch(ifNoMatch)
      if (key === undefined) continue
      if (found !== undefined) return undefined
      found = { thumbprint, key }
    }
    return found
  }

  /** One fetch at a time, and none within `quietMs` of the one before, however it ended. Never rejects. */
  #fetch(now: Instant, quietMs: number): Promise<void> {
    if (this.#fetching !== undefined) return this.#fetching
    // A clock that went back must not keep us from ever trying again.
    if (this.#triedAt !== undefined && now >= this.#triedAt && now - this.#triedAt < quietMs) return Promise.resolve()
    this.#triedAt = now
    this.#fetching = this.#load()
      .catch(this.#options.onError)
      .finally(() => {
        this.#fetching = undefined
      })
    return this.#fetching
  }

  async #load(): Promise<void> {
    const { settings, download, clock } = this.#options
    const published = Published.parse(await download(settings.jwks ?? (await this.#discover()), settings.fetchMs))
    const keys: PublishedKey[] = []
    for (const jwk of published.keys) {
      if (!asymmetric.has(jwk.kty) || (jwk.use !== undefined && jwk.use !== 'sig')) continue
      const key = await readKey(jwk)
      if (key !== undefined) keys.push(key)
    }
    if (keys.length === 0) throw this.#unusable('its key set has no key for signatures')
    this.#keys = keys
    this.#thumbprints = new Set(keys.map(({ thumbprint }) => thumbprint))
    this.#fetchedAt = clock()
  }

  async #discover(): Promise<string> {
    const { settings, download } = this.#options
    const url = settings.discovery ?? `${settings.issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
    const { issuer, jwks_uri } = Discovery.parse(await download(url, settings.fetchMs))
    if (issuer !== settings.issuer)
      throw this.#unusable(`its discovery document is of ${JSON.stringify(issuer)}; write the issuer exactly so`)
    if (!isSafe(jwks_uri)) throw this.#unusable('its keys are not at an https address')
    return jwks_uri
  }

  #unusable(why: string): AccessError {
    const { alias, issuer } = this.#options.settings
    return new AccessError('ISSUER_UNUSABLE', `Fetching the keys of ${alias} (${issuer}): ${why}.`)
  }
}

/** Undefined for a key of a kind that we do not know: the others still count. */
async function readKey(jwk: JWK): Promise<PublishedKey | undefined> {
  try {
    return { thumbprint: await calculateJwkThumbprint(jwk), kid: jwk.kid, resolve: createLocalJWKSet({ keys: [jwk] }) }
  } catch {
    return undefined
  }
}

function ifNoMatch(error: unknown): undefined {
  if (error instanceof errors.JOSEError || error instanceof TypeError || error instanceof DOMException) return undefined
  throw error
}
