import type { IncomingMessage } from 'node:http'
import { type Refusal, refusalOfStatus } from './refusal.ts'

/** Headers that say whose request it is, where it goes and where it ends: two of them are two readings of one request. */
const names = ['host', 'authorization', 'content-type', 'content-length', 'content-encoding', 'transfer-encoding', 'expect']
const bits = new Map(names.map((name, bit) => [name, 1 << bit]))
const shortest = 4
const longest = 17

/**
 * What the parser of HTTP lets through and this server does not: too many headers, one too many of those that must be one, and
 * framings that a proxy before it may read otherwise (RFC 9112, sections 3.2, 6.1 and 6.3).
 */
export function checkHeaders({ rawHeaders, headers, httpVersion }: IncomingMessage, maxHeaders: number): Refusal | undefined {
  // HTTP/0.9, which knows no headers, is answered by nobody else any more.
  if (httpVersion !== '1.1' && httpVersion !== '1.0') return refusalOfStatus(400, undefined)
  if (rawHeaders.length > maxHeaders * 2) return refusalOfStatus(431, undefined)
  let seen = 0
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] ?? ''
    if (name.length < shortest || name.length > longest) continue
    const bit = bits.get(name.toLowerCase()) ?? 0
    if ((seen & bit) !== 0) return refusalOfStatus(400, undefined)
    seen |= bit
  }
  const coding = headers['transfer-encoding']
  if (coding !== undefined && (httpVersion !== '1.1' || coding.trim().toLowerCase() !== 'chunked')) return refusalOfStatus(400, undefined)
  return httpVersion === '1.1' && headers.host === undefined ? refusalOfStatus(400, undefined) : undefined
}
