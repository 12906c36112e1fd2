import type { JWTPayload } from 'jose'
import { Capability, type Instant, Name } from '../../schemas/index.ts'
import type { Identity } from '../identity.ts'
import type { IssuerSettings } from './settings.ts'

const mostRoles = 256
const longestRole = 256

/**
 * The caller that verified claims are about; null where they do not say what the settings ask for: then the token is refused,
 * since leaving a part out (an organization, say) would let its owner out of what is bound to that part.
 */
export function identityOf(payload: JWTPayload, settings: IssuerSettings, now: Instant): Identity | null {
  const { alias, principalClaim, organizationClaim, scopes, clockSkewMs } = settings
  const principal = nameOf(alias, claimAt(payload, principalClaim))
  const organization = organizationClaim === null ? null : nameOf(alias, claimAt(payload, organizationClaim))
  const roles = rolesOf(payload, settings)
  const given = scopesOf(payload)
  const { iat, exp } = payload
  if (principal === null || roles === null || iat === undefined || exp === undefined) return null
  if (organizationClaim !== null && organization === null) return null
  if (!scopes.every((scope) => given.has(scope))) return null
  const provedAt = secondFactorAt(payload, settings)
  if (provedAt !== null && provedAt > now + clockSkewMs) return null
  return {
    principal,
    organization,
    method: 'oidc',
    // Whatever the provider calls the client: Keycloak, Auth0 and Entra; RFC 9068; Entra's first version; Okta.
    keyId: nameOf(alias, payload.azp ?? payload.client_id ?? payload.appid ?? payload.cid),
    roles: roles.map((role) => `${settings.rolePrefix}${role}`),
    capabilities: Capability.options.filter((capability) => settings.capabilities[capability]?.some((by) => gives(by, roles, given))),
    // When the token was issued says nothing of how long its owner has been known: every caller would be a newcomer every hour.
    createdAt: null,
    expiresAt: Math.round(Math.min(exp * 1_000, iat * 1_000 + settings.maxTokenAgeMs)),
    secondFactorAt: provedAt === null ? null : Math.min(provedAt, now),
  }
}

/**
 * `alias:claim` as a name that events, leases and policies can carry. What a name cannot hold, and `+`, becomes `+` and the hex of its
 * UTF-8, so different claims stay different: `auth0|7` is `alias:auth0+7C7`.
 */
export function nameOf(alias: string, claim: unknown): string | null {
  if (typeof claim !== 'string' || claim === '' || claim.length > 128 || !claim.isWellFormed()) return null
  const escaped = claim.replaceAll(/[^\p{L}\p{N}._@:-]/gu, (char) =>
    Array.from(Buffer.from(char), (byte) => `+${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
  const name = Name.safeParse(`${alias}:${escaped}`)
  return name.success ? name.data : null
}

/** A claim by its name, else by the path that it may stand for: Auth0's names are addresses, full of dots. */
function claimAt(payload: JWTPayload, path: string): unknown {
  if (Object.hasOwn(payload, path)) return payload[path]
  let at: unknown = payload
  for (const step of path.split('.')) {
    if (!isObject(at) || !Object.hasOwn(at, step)) return undefined
    at = at[step]
  }
  return at
}

/** Null where they are none that could be trusted to be all of them: Entra leaves groups out where there are too many. */
function rolesOf(payload: JWTPayload, { rolesClaim }: IssuerSettings): readonly string[] | null {
  if (rolesClaim === null) return []
  const claim = claimAt(payload, rolesClaim)
  if (claim === undefined) return []
  const roles = typeof claim === 'string' ? [claim] : claim
  if (!Array.isArray(roles) || roles.length > mostRoles) return null
  return roles.every((role) => typeof role === 'string' && role.length <= longestRole) ? roles : null
}

/** `scope` (RFC 9068), or `scp` as Entra and Okta write it. */
function scopesOf({ scope, scp }: JWTPayload): ReadonlySet<string> {
  const said = scope ?? scp
  if (typeof said === 'string') return new Set(said.split(' '))
  return new Set(Array.isArray(said) ? said.filter((one) => typeof one === 'string') : [])
}

function gives(by: string, roles: readonly string[], scopes: ReadonlySet<string>): boolean {
  if (by === '*') return true
  if (by.startsWith('role:')) return roles.includes(by.slice(5))
  return by.startsWith('scope:') && scopes.has(by.slice(6))
}

/** A refreshed token has a new `iat`, and nobody proved anything for it: only `auth_time` says when somebody did. */
function secondFactorAt({ acr, amr, auth_time: at }: JWTPayload, { secondFactor }: IssuerSettings): Instant | null {
  if (typeof at !== 'number' || !Number.isFinite(at) || at < 0) return null
  const strong = typeof acr === 'string' && secondFactor.acr.includes(acr)
  const methods = Array.isArray(amr) && amr.some((method) => secondFactor.amr.includes(method))
  return strong || methods ? Math.round(at * 1_000) : null
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
