import { z } from 'zod'

/** The parts of a JWT's header that choose its key; nothing of it is verified. */
const Header = z.object({ alg: z.string().max(16), kid: z.string().max(512).optional(), typ: z.string().max(64).optional() })
export type Header = z.infer<typeof Header>

const Claims = z.object({ iss: z.string().max(1_024) })

/** What a token says of itself, unverified: good for finding who can verify it, and for nothing else. */
export interface Peek {
  readonly header: Header
  readonly issuer: string
}

/** Three parts of base64url, in at most `maxBytes` characters. Input of any length and content is safe. */
export function looksLikeJwt(bearer: string, maxBytes: number): boolean {
  return bearer.length <= maxBytes && /^[\w-]+\.[\w-]+\.[\w-]*$/.test(bearer)
}

/** Null where it is no JWT. The caller has bounded the token's length. */
export function peek(token: string): Peek | null {
  const [header, claims] = token.split('.')
  const read = Header.safeParse(jsonOf(header))
  const said = Claims.safeParse(jsonOf(claims))
  return read.success && said.success ? { header: read.data, issuer: said.data.iss } : null
}

function jsonOf(part: string | undefined): unknown {
  try {
    return JSON.parse(Buffer.from(part ?? '', 'base64url').toString('utf8'))
  } catch {
    return undefined
  }
}
