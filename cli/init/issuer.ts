import type { z } from 'zod'
import { IssuerSettings } from '../../access/oidc/settings.ts'
import { CliError } from '../errors.ts'

export const providers = ['okta', 'entra', 'keycloak', 'other'] as const
export type Provider = (typeof providers)[number]

/** What goes into the file, and what is said beside it. */
export interface IssuerPlan {
  readonly provider: Provider
  readonly settings: z.input<typeof IssuerSettings>
}

/** What each names otherwise than the defaults have it; docs/access.md has a worked example of each. */
const presets: Readonly<Record<Provider, Partial<z.input<typeof IssuerSettings>>>> = {
  // Okta's access tokens have no `typ`; `groups` is a claim to be added to the authorization server.
  okta: { alias: 'okta', untyped: true, rolesClaim: 'groups' },
  // `sub` differs by application in Entra; `oid` is the person, or the service principal.
  entra: { alias: 'entra', algorithms: ['RS256'], principalClaim: 'oid', rolesClaim: 'roles' },
  keycloak: { alias: 'keycloak', rolesClaim: 'realm_access.roles' },
  other: { alias: 'idp' },
}

/** The audience of Okta's authorization server `default`. */
const oktaAudience = 'api://default'

/**
 * @returns null where no issuer is named
 * @throws CliError `USAGE`
 */
export function issuerPlan(flags: { readonly issuer?: string; readonly audience?: string; readonly alias?: string }): IssuerPlan | null {
  const { issuer, audience, alias } = flags
  if (issuer === undefined || issuer === '') {
    if (audience === undefined && alias === undefined) return null
    throw new CliError('USAGE', '--issuer: name it, exactly as `iss` of its tokens has it')
  }
  const provider = alias === undefined ? guess(issuer) : providerOf(alias)
  const given = audience ?? (provider === 'okta' ? oktaAudience : undefined)
  if (given === undefined || given === '')
    throw new CliError('USAGE', '--audience: say what `aud` of the tokens names; without it tokens for others would count')
  const settings = { alias: provider, issuer, audience: given, ...presets[provider] }
  const parsed = IssuerSettings.safeParse(settings)
  if (parsed.success) return { provider, settings }
  const [issue] = parsed.error.issues
  throw new CliError('USAGE', `--${issue?.path[0] === 'audience' ? 'audience' : 'issuer'}: ${issue?.message ?? 'not as it has to be'}`)
}

export function providerOf(text: string): Provider {
  const provider = providers.find((one) => one === text)
  if (provider !== undefined) return provider
  throw new CliError('USAGE', `--alias ${JSON.stringify(text)}: it is one of ${providers.join(', ')}`)
}

/** Whose an address is. */
export function guess(issuer: string): Provider {
  if (/^https:\/\/[^/]*\.(okta|oktapreview|okta-emea)\.com(\/|$)/.test(issuer)) return 'okta'
  if (/^https:\/\/(login\.microsoftonline\.(com|us)|sts\.windows\.net|login\.partner\.microsoftonline\.cn)\//.test(issuer)) return 'entra'
  return /\/realms\/[^/]+$/.test(issuer) ? 'keycloak' : 'other'
}
