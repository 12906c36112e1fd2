import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import { binaryInfer, chatBody, inferBody } from './bodies.ts'
import { limits, secrets } from './orders.ts'
import type { Random } from './random.ts'

/** A request of the attack, as whoever looks at answers and events knows it. */
export interface Fired {
  /** Its User-Agent: nobody else's. */
  readonly agent: string
  /** Its framing, address and key are good, whatever its body is: the node reads it, and leaves an event of it. */
  readonly plain: boolean
}

/** One connection of the attack. */
export interface Shot {
  readonly pieces: readonly { readonly bytes: Buffer; readonly pauseMs: number }[]
  /** Requests in it, in their order, or what was meant to look like one. Only the last may be framed in two ways: nothing is read behind it. */
  readonly fired: readonly Fired[]
  /** What the client does when it has sent all: waits for its answers, ends its half, or is gone at once. */
  readonly end: 'wait' | 'half' | 'gone'
}

const [marker = '', credential = ''] = secrets
const crlf = '\r\n'

const oips = [
  '/v2/models/digits/infer',
  '/v2/models/digits/infer',
  '/v2/models/digits/versions/1/infer',
  '/v2/models/digits/versions/99/infer',
]
const openais = ['/v1/chat/completions', '/v1/chat/completions', '/v1/completions', '/v1/embeddings']
const addresses = [
  ...[
    '/',
    '/v2',
    '/v2/',
    '/v1',
    '/v1/',
    '/v1/models',
    '/v2/health/ready',
    '/v2/models/digits',
    '/v2/models/digits/ready',
    '/metrics',
    '/health',
  ],
  ...['/v2/models/../../etc/passwd', '/v2/models/%2e%2e/infer', '/v2/models/%00/infer', '/v2/models/%ff%fe/infer', '/v2/models/%/infer'],
  ...['//v2//models//digits//infer', '/v2/models/__proto__/infer', '/v2/models/constructor/versions/toString/infer', '/v2/models/a b'],
  ...[
    `/v2/models/${'d'.repeat(600)}/infer`,
    `/v2/models/digits/infer?${'a=b&'.repeat(500)}`,
    '/v2/models/digits/infer#x',
    '/v2;x=1',
    '/v2/models/digits/stats',
  ],
  ...[
    'http://127.0.0.1/v2',
    'http://other.example/v2/models/digits/infer',
    'https:///v2',
    '*',
    'v2',
    '/v2/models/never-heard-of/infer',
    '/v2/models/stats',
  ],
  ...[
    '/v2/models/dig\u00edts/infer',
    '/v2/models/digits/versions/1e0/infer',
    '/v1/models/parrot',
    '/v1/%63hat/completions',
    '/v1/files',
    `/${'x'.repeat(20_000)}`,
  ],
]
/** Those that a parser of HTTP takes, so that what comes behind them is read. */
const wellFormed = addresses.filter((address) => /^\/[\w./%;=?&-]{0,3000}$/.test(address))
const methods = ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'HEAD', 'TRACE', 'PROPFIND', 'QUERY', 'get', 'FOO', 'CONNECT', 'PRI']
const types = [
  'application/json',
  'application/json',
  'text/plain',
  'application/octet-stream',
  'multipart/form-data; boundary=x',
  'application/json; charset=utf-7',
  '',
  '\u0001',
  'a'.repeat(5_000),
]
/** Headers that are wrong, or that two readers read in two ways. */
const odd = [
  ...[
    'Content-Length: 5',
    'Content-Length: +5',
    'Content-Length: 0x5',
    'Content-Length: 5, 5',
    'Content-Length : 5',
    'Content-Length: 99999999999999999999',
  ],
  ...[
    'Transfer-Encoding: chunked',
    'Transfer-Encoding: xchunked',
    'Transfer-Encoding: chunked, chunked',
    'Transfer-Encoding: gzip, chunked',
  ],
  ...[
    'Transfer-Encoding: chunked\r\nTransfer-Encoding: identity',
    'Transfer-Encoding : chunked',
    'Transfer-Encoding:\tchunked',
    'Transfer-Encoding: \u000bchunked',
  ],
  ...[
    'X: a\r\n continued',
    'X: a\nY: b',
    'X\u0000: a',
    'X: \u0000',
    ': empty',
    'No colon',
    'X: a\rY: b',
    'Host: other',
    'Host:',
    'Authorization: Bearer x',
  ],
  ...[
    'Upgrade: websocket\r\nConnection: Upgrade',
    'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AA',
    'Expect: 100-continue',
    'Expect: 200-ok',
  ],
  ...[
    'Connection: keep-alive, close',
    'Connection: Content-Length',
    'Content-Encoding: gzip, gzip',
    'Content-Encoding: br',
    'Content-Encoding: zstd',
  ],
  ...[
    'traceparent: 00-00000000000000000000000000000000-0000000000000000-00',
    `traceparent: ${'f'.repeat(900)}`,
    `tracestate: ${'a=b,'.repeat(900)}`,
  ],
  ...[
    'X-Forwarded-For: 1.1.1.1',
    'User-Agent: \u00ff\u00fe',
    'Inference-Header-Content-Length: 10',
    'Accept: text/event-stream',
    '__proto__: x',
  ],
  `X-Marker: ${marker}`,
]

export interface Shooter {
  readonly random: Random
  /** One that is good, for a share of the requests: without it hardly anything is read. */
  readonly key: string
  /** A name that no other request has. */
  readonly nextAgent: () => string
}

export function shotOf(shooter: Shooter): Shot {
  const { random } = shooter
  const way = random.below(100)
  if (way < 2) return slow(shooter)
  if (way < 6) return garbage(shooter)
  const count = random.chance(0.7) ? 1 + random.below(8) : 1 + random.below(30)
  const parts = Array.from({ length: count }, (_, i) => request(shooter, i === count - 1))
  const fired = parts.map(({ agent, plain }) => ({ agent, plain }))
  const bytes = Buffer.concat(parts.map((part) => part.bytes))
  if (way < 12)
    return {
      pieces: [{ bytes: bytes.subarray(0, random.below(bytes.length)), pauseMs: 0 }],
      fired,
      end: random.pick(['half', 'gone', 'gone']),
    }
  if (way < 18) return { pieces: [{ bytes, pauseMs: random.below(30) }], fired, end: 'gone' }
  return { pieces: cut(random, bytes), fired, end: random.chance(0.1) ? 'half' : 'wait' }
}

function cut(random: Random, bytes: Buffer): Shot['pieces'] {
  if (random.chance(0.7)) return [{ bytes, pauseMs: 0 }]
  const at = random.below(bytes.length)
  return [
    { bytes: bytes.subarray(0, at), pauseMs: random.below(5) },
    { bytes: bytes.subarray(at), pauseMs: 0 },
  ]
}

/** Headers or a body that trickle. */
function slow({ random, key, nextAgent }: Shooter): Shot {
  const body = inferBody(random)
  const agent = nextAgent()
  const head = `POST /v2/models/digits/infer HTTP/1.1\r\nHost: a\r\nUser-Agent: ${agent}\r\nAuthorization: Bearer ${key}\r\n`
  const bytes = random.chance(0.5)
    ? Buffer.from(`${head}X: `)
    : Buffer.from(`${head}Content-Length: ${Buffer.byteLength(body) + 9}\r\n\r\n${body}`)
  const drop = { bytes: Buffer.from('x'), pauseMs: 300 }
  return { pieces: [{ bytes, pauseMs: 300 }, drop, drop, drop, drop], fired: [{ agent, plain: false }], end: 'wait' }
}

function garbage({ random, nextAgent }: Shooter): Shot {
  const kinds = [
    () => random.bytes(random.below(3_000)),
    () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    () => Buffer.from([0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03, ...random.bytes(200)]),
    () => Buffer.from('GET /v2\r\n\r\n'),
    () => Buffer.from('GET /v2 HTTP/9.9\r\nHost: a\r\n\r\n'),
    () => Buffer.from(`GET /v2 HTTP/1.1\r\n${'A: b\r\n'.repeat(200 + random.below(4_000))}\r\n`),
    () => Buffer.from('\r\n'.repeat(random.below(3_000))),
    () => Buffer.from('GET /v2 HTTP/1.1\nHost: a\n\n'),
    () => Buffer.from(' GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n'),
    () => Buffer.alloc(0),
  ]
  const fired = [{ agent: nextAgent(), plain: false }]
  return { pieces: [{ bytes: random.pick(kinds)(), pauseMs: 0 }], fired, end: random.pick(['wait', 'half', 'gone']) }
}

/** @param last nothing comes behind it on its connection: only there may a request be read in two ways, or not at all */
function request({ random, key, nextAgent }: Shooter, last: boolean): Fired & { readonly bytes: Buffer } {
  const wild = last && random.chance(0.6)
  const kind = random.below(10)
  const [headers, body] = kind < 5 ? oip(random, wild) : openai(random, wild)
  const known = kind !== 9
  const address = known ? random.pick(kind < 5 ? oips : openais) : random.pick(wild ? addresses : wellFormed)
  const method = wild && random.chance(0.3) ? random.pick(methods) : 'POST'
  const version = wild && random.chance(0.1) ? random.pick(['HTTP/1.0', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', '']) : 'HTTP/1.1'
  const agent = nextAgent()
  const keyed = random.chance(0.85)
  const lines = [`${method} ${address} ${version}`, 'Host: a', `User-Agent: ${agent}`, ...headers]
  lines.push(`Authorization: ${keyed ? `Bearer ${key}` : random.pick(authorizations)}`)
  if (wild && random.chance(0.7)) lines.push(random.pick(odd))
  if (last) lines.push('Connection: close')
  return { agent, plain: known && keyed && !wild, bytes: Buffer.concat(framed(random, lines, body, wild)) }
}

const authorizations = [
  '',
  'Bearer',
  `Bearer ${credential}`,
  `Basic ${credential}`,
  `Bearer ${'k'.repeat(4_000)}`,
  'Bearer cordon_abcdefghijkl_x',
  'bearer\t',
]

function oip(random: Random, wild: boolean): [string[], Buffer] {
  if (random.chance(0.8)) return [typed(random, wild), Buffer.from(inferBody(random))]
  const { body, jsonBytes } = binaryInfer(random)
  return [['Content-Type: application/octet-stream', `Inference-Header-Content-Length: ${jsonBytes}`], body]
}

function openai(random: Random, wild: boolean): [string[], Buffer] {
  return [typed(random, wild), Buffer.from(chatBody(random))]
}

function typed(random: Random, wild: boolean): string[] {
  if (random.chance(0.85)) return ['Content-Type: application/json']
  return random.chance(0.5) ? [] : [`Content-Type: ${random.pick(types.slice(0, wild ? undefined : -2))}`]
}

/** The body on the wire: as it is, compressed, in chunks, or with a length that is not its own. */
function framed(random: Random, lines: string[], body: Buffer, wild: boolean): Buffer[] {
  const way = random.below(40)
  const head = (...more: string[]) => Buffer.from([...lines, ...more, '', ''].join(crlf), 'latin1')
  const whole = (bytes: Buffer, ...more: string[]) => [head(`Content-Length: ${bytes.length}`, ...more), bytes]
  if (way === 0) return whole(gzipSync(body), 'Content-Encoding: gzip')
  if (way === 1) return whole(deflateSync(body), 'Content-Encoding: deflate')
  if (way === 2) return whole(deflateRawSync(body), 'Content-Encoding: deflate')
  if (way === 3) return whole(random.pick(bombs), 'Content-Encoding: gzip')
  if (way === 4) return whole(gzipSync(body).subarray(0, -random.below(20) - 1), 'Content-Encoding: gzip')
  if (way === 5) return whole(Buffer.concat([gzipSync(body), random.bytes(9)]), 'Content-Encoding: gzip')
  if (way === 6) return whole(random.bytes(random.below(2_000)))
  if (way < 16 && (way > 10 || !wild)) return [head('Transfer-Encoding: chunked'), chunked(random, body)]
  if (way === 7) return [head(`Content-Length: ${limits.maxBodyBytes + 1 + random.below(1e9)}`), body]
  if (way === 8) return [head(`Content-Length: ${body.length}`, 'Transfer-Encoding: chunked'), chunked(random, body)]
  if (way === 9) return [head('Content-Length: 1', `Content-Length: ${body.length}`), body]
  if (way === 10)
    return [
      head('Transfer-Encoding: chunked'),
      Buffer.from(random.pick(['zz\r\n', '-1\r\nx\r\n', 'ffffffffffffffffff\r\n', `1;${'e'.repeat(20_000)}\r\nx\r\n`, '5\r\nhel'])),
    ]
  return whole(body)
}

const bombs = [gzipSync(Buffer.alloc(16 * 1_048_576)), gzipSync(gzipSync(Buffer.alloc(1_048_576))), gzipSync(' '.repeat(2 * 1_048_576))]

function chunked(random: Random, body: Buffer): Buffer {
  const size = random.pick([1, 7, 1_000, 100_000])
  const parts: Buffer[] = []
  for (let at = 0; at < body.length && parts.length < 600; at += size) {
    const part = body.subarray(at, at + size)
    parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from(crlf))
  }
  return Buffer.concat([...parts, Buffer.from(random.chance(0.9) ? '0\r\n\r\n' : `0\r\nAuthorization: ${credential}\r\n\r\n`)])
}
