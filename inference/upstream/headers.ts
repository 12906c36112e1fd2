import type { TextCall } from '../port.ts'

/** Names of a request's headers that go on to the upstream; no other does, and least of all the client's key. */
const passed = ['traceparent', 'tracestate'] as const
/** Printable, and of the length that W3C asks to be passed on. */
const sound = /^[\x20-\x7e]{1,512}$/

/** Headers of every request to a pool's upstream: the pool's own token, and no compression, whose cost and bombs we do without. */
export function standingHeaders(token: string | null): readonly string[] {
  return ['accept-encoding', 'identity', ...(token === null ? [] : ['authorization', `Bearer ${token}`])]
}

/** The headers of one request. */
export function headersOf(standing: readonly string[], type: string, given: TextCall['headers']): string[] {
  const headers = [...standing, 'content-type', type]
  for (const name of passed) {
    const value = given[name]
    if (value !== undefined && sound.test(value)) headers.push(name, value)
  }
  return headers
}
