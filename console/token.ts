import { createHash, timingSafeEqual } from 'node:crypto'

/** Whether an Authorization header carries the token; in constant time. No token is never the right one, whatever that is. */
export function tokenCheck(token: string): (authorization: string | undefined) => boolean {
  const expected = digest(token)
  return (authorization) => {
    const given = /^Bearer ([\x21-\x7e]{1,512})$/.exec(authorization ?? '')?.[1]
    // Digests, so that lengths are equal whatever was sent.
    return given !== undefined && timingSafeEqual(digest(given), expected)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
