import type { AuthenticationFailure, Credentials, Identity } from '../../access/identity.ts'
import type { Exchange } from './exchange.ts'
import { busy } from './pools.ts'
import { Refusal } from './refusal.ts'

/** Writes down who asks. */
export function identify(exchange: Exchange, identity: Identity): void {
  exchange.identity = identity
  exchange.principal = identity.principal
  exchange.organization = identity.organization
  exchange.keyId = identity.keyId
  exchange.keyCreatedAt = identity.createdAt
}

/** One refusal for whatever is wrong with a credential; why is never told. */
export function unauthenticated({ bearer }: Credentials, reason: AuthenticationFailure, retryMs: number | undefined): Refusal {
  const seconds = Math.max(1, Math.ceil((retryMs ?? 1_000) / 1_000))
  if (reason === 'provider-away') return busy('OVERLOADED', seconds)
  if (reason === 'too-many-failures')
    return new Refusal('THROTTLED', `Too many attempts: try again in ${seconds} s.`, { headers: { 'retry-after': String(seconds) } })
  const challenge = bearer === undefined ? 'Bearer realm="cordon"' : 'Bearer realm="cordon", error="invalid_token"'
  return new Refusal('UNAUTHENTICATED', 'Send a valid key as Authorization: Bearer <key>.', { headers: { 'www-authenticate': challenge } })
}

/** What a request brings to say who sends it. */
export function credentialsOf(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  address: string | undefined,
  certificate: Credentials['certificate'],
): Credentials {
  const { authorization, origin } = headers
  const bearer = typeof authorization === 'string' && /^bearer /i.test(authorization) ? authorization.slice(7).trim() : undefined
  return { bearer, address: address ?? '', origin: typeof origin === 'string' ? origin : undefined, certificate }
}
