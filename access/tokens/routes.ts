import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import type { Instant, Key } from '../../schemas/index.ts'
import { type Authenticator, type Capability, capabilities } from '../identity.ts'
import type { KeyRegistry } from '../key-registry.ts'
import { formatKey } from '../keys.ts'
import { invalidClient, readClientRequest } from './client-request.ts'
import { TokenError } from './errors.ts'
import { jwkOf } from './signing-keys.ts'
import type { IssuedToken, Tokens } from './tokens.ts'

const maxBodyBytes = 8_192
/** The key of tomorrow is among the published ones, so that an hour is soon enough. */
const jwksSeconds = 3_600

export interface TokenRoutesParts {
  readonly tokens: Tokens
  /** By which keys are verified, and failures counted by address: what the requests of models pass. */
  readonly authenticator: Authenticator
  readonly keys: Pick<KeyRegistry, 'get'>
  /** As clients see it, without a `/` at its end. */
  readonly issuer: string
  readonly clock: () => Instant
}

/**
 * `POST /oauth2/token` (RFC 6749 section 4.4: the id of a key and its secret for a token of minutes), where the keys are
 * that verify it, and what there is (RFC 8414).
 */
export function tokenRoutes(app: FastifyInstance, parts: TokenRoutesParts): void {
  const { tokens, issuer, clock } = parts
  app.get(wellKnown(issuer), async (_request, reply) =>
    reply.header('cache-control', `public, max-age=${jwksSeconds}`).send(metadata(issuer)),
  )
  app.get('/oauth2/jwks', async (_request, reply) =>
    reply
      .header('cache-control', `public, max-age=${jwksSeconds}`)
      .type('application/jwk-set+json')
      .send(JSON.stringify({ keys: tokens.published(clock()).map(jwkOf) })),
  )
  app.register(async (scope) => {
    scope.removeAllContentTypeParsers()
    const form = { parseAs: 'string', bodyLimit: maxBodyBytes } as const
    scope.addContentTypeParser('application/x-www-form-urlencoded', form, async (_request: FastifyRequest, body: string | Buffer) => body)
    scope.addHook('onSend', async (_request, reply) => {
      reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' })
    })
    scope.setErrorHandler((error: FastifyError | TokenError, _request, reply) => {
      const known = error instanceof TokenError ? error : unreadable(error)
      // Theirs who have the listener.
      if (known === null) throw error
      const body = { error: known.code, error_description: known.message }
      return reply.code(known.status).headers(known.headers).type('application/json').send(JSON.stringify(body))
    })
    scope.post('/oauth2/token', async (request) => {
      const { token, expiresInSeconds, scope: granted } = await issue(request, parts)
      return { access_token: token, token_type: 'Bearer', expires_in: expiresInSeconds, scope: granted }
    })
  })
}

async function issue(request: FastifyRequest, { tokens, keys, authenticator, clock }: TokenRoutesParts): Promise<IssuedToken> {
  const { authorization, origin } = request.headers
  const { body } = request
  const { clientId, clientSecret, scope } = readClientRequest(authorization, typeof body === 'string' ? body : '')
  const now = clock()
  const bearer = formatKey({ id: clientId, secret: clientSecret })
  const found = await authenticator.authenticate({ bearer, address: request.ip, origin, certificate: null }, now)
  if (!found.ok && found.reason === 'too-many-failures') {
    const seconds = Math.max(1, Math.ceil((found.retryMs ?? 1_000) / 1_000))
    throw new TokenError('temporarily_unavailable', `too many attempts: try again in ${seconds} s`, 429, { 'retry-after': String(seconds) })
  }
  const key = found.ok && found.identity.method === 'key' ? keys.get(clientId) : undefined
  if (key === undefined) throw invalidClient()
  return tokens.issue(key, scopeOf(key, scope), now)
}

/** @throws TokenError `invalid_scope` */
function scopeOf(key: Key, asked: readonly string[] | null): readonly Capability[] {
  if (asked === null) return key.capabilities
  const granted = key.capabilities.filter((one) => asked.includes(one))
  if (asked.every((one) => granted.some((capability) => capability === one))) return granted
  throw new TokenError('invalid_scope', `this key may ask for ${key.capabilities.join(' ')}`)
}

function unreadable({ code, statusCode }: { readonly code?: string; readonly statusCode?: number }): TokenError | null {
  if (code === undefined || !code.startsWith('FST_ERR_CTP')) return null
  return new TokenError(
    'invalid_request',
    `send a form of at most ${maxBodyBytes} bytes, as application/x-www-form-urlencoded`,
    statusCode ?? 400,
  )
}

/** Of an issuer with a path the name stands before the path (RFC 8414 section 3.1). */
function wellKnown(issuer: string): string {
  const { pathname } = new URL(issuer)
  return `/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`
}

function metadata(issuer: string) {
  return {
    issuer,
    token_endpoint: `${issuer}/oauth2/token`,
    jwks_uri: `${issuer}/oauth2/jwks`,
    response_types_supported: [],
    grant_types_supported: ['client_credentials'],
    token_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    scopes_supported: capabilities,
  }
}
