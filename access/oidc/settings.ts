import { z } from 'zod'
import { Capability } from '../../schemas/index.ts'

/** Signatures by a key that the verifier cannot sign with; `none` and HMACs cannot be configured. */
const Algorithm = z.enum(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'])

/** Over TLS, or on this machine. */
const Url = z.url({ protocol: /^https?$/ }).refine(isSafe, 'write an https address; http is for this machine alone')

export function isSafe(url: string): boolean {
  // Asked of what is no address too: zod goes on to this after it found that.
  if (!URL.canParse(url)) return false
  const { protocol, hostname } = new URL(url)
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname))
}

const mentions = z
  .array(z.string().regex(/^(\*|role:.+|scope:.+)$/, 'write role:NAME, scope:NAME, or * for whoever has a valid token'))
  .max(64)

/** An issuer of JWT bearers, such as Okta, Entra or Keycloak. */
export const IssuerSettings = z.strictObject({
  alias: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'lower-case letters, digits and -')
    .describe('stands before every principal, organization and client of it, as in `entra:…`: two issuers cannot collide'),
  issuer: Url.describe('exactly as `iss` has it'),
  audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(16)]).describe('what `aud` must name, or one of several'),
  discovery: Url.nullable().default(null).describe('discovery document; null is <issuer>/.well-known/openid-configuration'),
  jwks: Url.nullable().default(null).describe('where its keys are, where it has no discovery document'),
  algorithms: z
    .array(Algorithm)
    .min(1)
    .default(['RS256', 'PS256', 'ES256', 'EdDSA'])
    .describe('signatures that count; asymmetric ones only'),
  types: z
    .array(z.string().min(1).max(64))
    .max(8)
    .default(['at+jwt', 'JWT'])
    .describe('what `typ` may be; at+jwt alone refuses ID tokens, where the issuer writes it (RFC 9068)'),
  untyped: z.boolean().default(false).describe('tokens without `typ` count too, as of Okta'),
  principalClaim: z
    .string()
    .min(1)
    .max(128)
    .default('sub')
    .describe('who it is; never one that its owner may change, such as an e-mail address'),
  organizationClaim: z
    .string()
    .min(1)
    .max(128)
    .nullable()
    .default(null)
    .describe('the organization it belongs to; a token without it is refused. null: they have none'),
  rolesClaim: z
    .string()
    .min(1)
    .max(256)
    .nullable()
    .default(null)
    .describe('where its roles are: `roles` (Entra), `groups` (Okta), `realm_access.roles` (Keycloak); a dot goes one object down'),
  rolePrefix: z.string().max(64).default('').describe('put before each role, where issuers use the same names for different things'),
  scopes: z.array(z.string().min(1).max(256)).max(64).default([]).describe('scopes that a token must have, all of them'),
  capabilities: z
    .partialRecord(Capability, mentions)
    .default({ inference: ['*'] })
    .describe('what gives a capability: any of role:NAME, scope:NAME, or * for whoever has a valid token'),
  secondFactor: z
    .strictObject({
      acr: z.array(z.string().min(1).max(256)).max(16).default([]).describe('values of `acr` that stand for a second factor'),
      amr: z.array(z.string().min(1).max(64)).max(16).default(['mfa']).describe('values of `amr` that do (RFC 8176)'),
    })
    .prefault({})
    .describe('counted from `auth_time`; a token without that has none'),
  clockSkewMs: z.int().min(0).max(300_000).default(30_000).describe('how far its clock may be from ours'),
  maxTokenAgeMs: z.int().min(60_000).default(86_400_000).describe('how old a token may be by `iat`, whatever `exp` says'),
  jwksMaxAgeMs: z.int().min(1_000).default(600_000).describe('after which its keys are fetched again'),
  staleMs: z
    .int()
    .min(0)
    .default(3_600_000)
    .describe('how long beyond that they count while it is away; then its tokens are refused with 503'),
  cooldownMs: z
    .int()
    .min(100)
    .default(30_000)
    .describe('least time between fetches because of a key that is not known: forged ones cause no more'),
  fetchMs: z.int().min(100).max(30_000).default(5_000).describe('how long it may take to answer'),
})
export type IssuerSettings = z.infer<typeof IssuerSettings>
