import type { KeyRegistry } from '../../access/key-registry.ts'
import { Tokens } from '../../access/tokens/tokens.ts'
import type { Config } from '../config/schema.ts'
import type { NodeSecrets } from './secrets.ts'

/** What issues and verifies access tokens; undefined where nobody said how clients reach the nodes. */
export function openTokens(
  { access }: Pick<Config, 'access'>,
  { tokenKey }: Pick<NodeSecrets, 'tokenKey'>,
  keys: Pick<KeyRegistry, 'get'>,
): { readonly tokens: Tokens; readonly issuer: string } | undefined {
  const { issuer, audience, lifeMs } = access.tokens
  if (issuer === null) return undefined
  return { issuer, tokens: new Tokens({ secret: tokenKey, issuer, audience, lifeMs, keys, maxTokens: access.maxTokens }) }
}
