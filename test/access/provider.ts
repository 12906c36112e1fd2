import { createServer, type Server } from 'node:http'
import { createServer as createSocketServer } from 'node:net'
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose'
import { Provider } from 'oidc-provider'

/** The audience of the tokens that the provider issues. */
export const audience = 'urn:cordon'

export interface TestProvider {
  readonly issuer: string
  /** Requests for the key set so far. */
  readonly fetches: number
  /** A real access token (client credentials, RFC 9068). */
  token(options?: { client?: string }): Promise<string>
  /** A token signed by the provider's present key, saying whatever a test wants. Times are seconds from now. */
  sign(claims?: Record<string, unknown>, header?: Record<string, unknown>): Promise<string>
  /** The present key as the provider publishes it. */
  publicKey(): JWK
  /** A new provider with a new key at the same address. */
  rotate(): Promise<void>
  /** Stops answering; `back` answers again with the same key. */
  leave(): Promise<void>
  back(): Promise<void>
}

interface SigningPair {
  readonly jwk: JWK
  readonly sign: (claims: Record<string, unknown>, header: Record<string, unknown>) => Promise<string>
}

let kids = 0

async function newPair(): Promise<SigningPair> {
  const kid = `k${++kids}`
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  const jwk = { ...(await exportJWK(privateKey)), kid, alg: 'RS256', use: 'sig' }
  return {
    jwk,
    sign: (claims, header) => new SignJWT(claims).setProtectedHeader({ alg: 'RS256', kid, typ: 'at+jwt', ...header }).sign(privateKey),
  }
}

/** `oidc-provider`, in this process, on a port of 127.0.0.1. */
export async function openProvider(): Promise<TestProvider & { close(): Promise<void> }> {
  let pair = await newPair()
  let fetches = 0
  let server: Server | undefined
  let port = 0
  const listen = async () => {
    if (port === 0) port = await freePort()
    const provider = providerOf(`http://127.0.0.1:${port}`, pair.jwk)
    const callback = provider.callback()
    const opened = createServer((request, response) => {
      if (request.url === '/jwks') fetches++
      void callback(request, response)
    })
    await new Promise<void>((resolve) => opened.listen(port, '127.0.0.1', resolve))
    server = opened
  }
  const leave = async () => {
    server?.closeAllConnections()
    await new Promise((resolve) => server?.close(resolve))
    server = undefined
  }
  await listen()
  const issuer = `http://127.0.0.1:${port}`
  return {
    issuer,
    get fetches() {
      return fetches
    },
    token: async ({ client = 'batch' } = {}) => {
      const body = new URLSearchParams({ grant_type: 'client_credentials', resource: audience, scope: 'infer' })
      const headers = { authorization: `Basic ${Buffer.from(`${client}:${client}-secret`).toString('base64')}` }
      const response = await fetch(`${issuer}/token`, { method: 'POST', body, headers })
      const answer: unknown = await response.json()
      if (typeof answer === 'object' && answer !== null && 'access_token' in answer && typeof answer.access_token === 'string')
        return answer.access_token
      throw new Error(`the provider issued no token: ${JSON.stringify(answer)}`)
    },
    sign: (claims = {}, header = {}) => {
      const at = Math.floor(Date.now() / 1_000)
      return pair.sign({ iss: issuer, aud: audience, sub: 'ann', iat: at, exp: at + 600, ...claims }, header)
    },
    publicKey: () => {
      const { kty, n, e, kid, alg, use } = pair.jwk
      return { kty: kty ?? '', n, e, kid, alg, use }
    },
    rotate: async () => {
      await leave()
      pair = await newPair()
      await listen()
    },
    leave,
    back: listen,
    close: leave,
  }
}

function providerOf(issuer: string, jwk: JWK): Provider {
  const clients = ['batch', 'other'].map((id) => ({
    ...{ client_id: id, client_secret: `${id}-secret`, redirect_uris: [], response_types: [] },
    grant_types: ['client_credentials'],
  }))
  return new Provider(issuer, {
    clients,
    jwks: { keys: [jwk] },
    ttl: { ClientCredentials: 600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({
          scope: 'infer',
          audience,
          accessTokenTTL: 600,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  })
}

async function freePort(): Promise<number> {
  const probe = createSocketServer()
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve))
  const address = probe.address()
  await new Promise((resolve) => probe.close(resolve))
  if (address === null || typeof address === 'string') throw new Error('no port is free')
  return address.port
}
