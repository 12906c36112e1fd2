import { TokenError } from './errors.ts'

/** What a client asks of the token endpoint, not yet verified. */
export interface ClientRequest {
  readonly clientId: string
  readonly clientSecret: string
  /** Null: all that it may. */
  readonly scope: readonly string[] | null
}

const maxCredential = 256

/**
 * Reads a request for client credentials (RFC 6749 sections 2.3.1, 3.2 and 4.4.2).
 *
 * @param body of the type application/x-www-form-urlencoded
 * @throws TokenError
 */
export function readClientRequest(authorization: string | undefined, body: string): ClientRequest {
  const form = new URLSearchParams(body)
  const names = [...form.keys()]
  if (new Set(names).size !== names.length) throw new TokenError('invalid_request', 'a parameter is there more than once')
  // Without a value it counts as left out.
  const given = (name: string) => form.get(name) || undefined
  const grant = given('grant_type')
  if (grant === undefined) throw new TokenError('invalid_request', 'grant_type is missing')
  if (grant !== 'client_credentials') throw new TokenError('unsupported_grant_type', 'only client_credentials are taken')
  const basic = authorization === undefined ? undefined : readBasic(authorization)
  const [id, secret] = [given('client_id'), given('client_secret')]
  if (basic !== undefined && secret !== undefined)
    throw new TokenError('invalid_request', 'authenticate once: by Basic or by client_id and client_secret')
  if (basic !== undefined && id !== undefined && id !== basic.clientId)
    throw new TokenError('invalid_request', 'client_id is another than that of Basic')
  const client = basic ?? (id === undefined || secret === undefined ? undefined : { clientId: id, clientSecret: secret })
  if (client === undefined) throw invalidClient()
  return { ...client, scope: given('scope')?.split(' ') ?? null }
}

/** The same words whatever is wrong with a client. */
export function invalidClient(): TokenError {
  const challenge = { 'www-authenticate': 'Basic realm="cordon"' }
  return new TokenError('invalid_client', 'authenticate with the id and the secret of a key that works', 401, challenge)
}

function readBasic(authorization: string): { clientId: string; clientSecret: string } {
  const encoded = /^basic +([A-Za-z0-9+/]{1,1024}={0,2})$/i.exec(authorization)?.[1]
  const [, id, secret] = /^([^:]*):(.*)$/s.exec(Buffer.from(encoded ?? '', 'base64').toString('utf8')) ?? []
  if (id === undefined || secret === undefined || id.length > maxCredential || secret.length > maxCredential) throw invalidClient()
  try {
    // Both are form-encoded before they are joined.
    return { clientId: formDecoded(id), clientSecret: formDecoded(secret) }
  } catch {
    throw invalidClient()
  }
}

function formDecoded(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}
