import { Capability, type Instant } from '../schemas/index.ts'

/** What a credential may be used for; one never implies another. */
export const capabilities = Capability.options
export type { Capability }

/** How a caller proved who it is. */
export type AuthenticationMethod = 'key' | 'oidc' | 'token' | 'certificate'

/** A caller, as every door of Cordon knows it. */
export interface Identity {
  readonly principal: string
  readonly organization: string | null
  readonly method: AuthenticationMethod
  /** Of the key, the client or the certificate; as events name it. */
  readonly keyId: string | null
  readonly roles: readonly string[]
  readonly capabilities: readonly Capability[]
  /** Since when its owner can be known by it: when the key was made, not a token of it; null where nobody says. */
  readonly createdAt: Instant | null
  readonly expiresAt: Instant | null
  /** When the caller last proved a second factor; null where it did not. */
  readonly secondFactorAt: Instant | null
}

/** What a request brings with it to say who sends it. */
export interface Credentials {
  /** Of `Authorization: Bearer`; undefined where there is none. */
  readonly bearer: string | undefined
  /** The peer's, behind trusted proxies the client's. */
  readonly address: string
  readonly origin: string | undefined
  /** The client's certificate that TLS verified; null without one. */
  readonly certificate: ClientCertificate | null
}

export interface ClientCertificate {
  /** SHA-256 of the DER, lower-case hex. */
  readonly fingerprint: string
  readonly serial: string
  /** Common name of the subject. */
  readonly commonName: string | null
  /** Of the subject alternative name: `DNS:…`, `URI:…`. */
  readonly alternativeNames: readonly string[]
  readonly validFrom: Instant
  readonly validTo: Instant
}

/** For logs, counts and events; a client is told none of it. */
export type AuthenticationFailure =
  | 'missing'
  | 'malformed'
  | 'unknown'
  | 'pending'
  | 'revoked'
  | 'expired'
  | 'not-yet-valid'
  | 'wrong-issuer'
  | 'wrong-audience'
  | 'bad-signature'
  | 'bad-claims'
  /** A key used from an address or an origin that it is not for. */
  | 'bad-place'
  /** A token that is bound to a certificate, without that certificate: somebody else's, or taken to another place. */
  | 'replayed'
  | 'provider-away'
  | 'too-many-failures'

export type Authentication =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly reason: AuthenticationFailure; readonly retryMs?: number }

export interface Authenticator {
  /** Synchronous where nothing has to be fetched or computed for long: keys, certificates, tokens that were seen before. */
  authenticate(credentials: Credentials, now: Instant): Authentication | Promise<Authentication>
  /** Whether an identity still counts that was authenticated before: streams ask while they run. */
  isGood(identity: Identity, now: Instant): boolean
}
