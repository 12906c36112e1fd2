import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { chatAnswer, chatEvents, chatModel, inferAnswer, inferMetadata } from './answers.ts'
import { argumentOf, obey } from './child.ts'
import { listen, usageOrders } from './usage.ts'
import { makeWires } from './wires.ts'

// A model server that computes nothing, or as long as it is told to: node:http alone, or node:https with certificates on both sides.

export interface UpstreamArgument {
  /** How long it takes between the tokens of a stream. */
  readonly tokenMs: number
  readonly tls: boolean
}

const { tokenMs, tls } = argumentOf<UpstreamArgument>()
/** Milliseconds of its one core that it computes for an inference. */
let computeMs = 0
const [one, eight] = [inferAnswer(1), inferAnswer(8)]
const json = { 'content-type': 'application/json' }

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  return Buffer.concat(parts)
}

async function stream(response: ServerResponse): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  for (const event of chatEvents) {
    if (response.destroyed) return
    response.write(event)
    if (tokenMs > 0) await delay(tokenMs)
  }
  response.end()
}

function compute(): void {
  for (const end = performance.now() + computeMs; performance.now() < end; );
}

function answer(response: ServerResponse, bytes: Uint8Array): void {
  response.writeHead(200, { ...json, 'content-length': bytes.length })
  response.end(bytes)
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = request.url ?? ''
  const body = request.method === 'POST' ? await bodyOf(request) : undefined
  if (path.endsWith('/infer')) {
    compute()
    return answer(response, body?.includes('"shape":[8,') ? eight : one)
  }
  if (path.endsWith('/chat/completions')) return body?.includes('"stream":true') ? stream(response) : answer(response, chatAnswer)
  if (path.endsWith('/models'))
    return answer(response, Buffer.from(JSON.stringify({ object: 'list', data: [{ id: chatModel, object: 'model' }] })))
  if (path.includes('/models/') && !path.endsWith('/ready')) return answer(response, Buffer.from(JSON.stringify(inferMetadata)))
  answer(response, Buffer.from('{"ready":true,"live":true}'))
}

function setCompute(ms: number): void {
  computeMs = ms
}

const onRequest = (request: IncomingMessage, response: ServerResponse) => {
  handle(request, response).catch(() => response.destroy())
}
const options = { keepAliveTimeout: 60_000 }
const wires = tls ? makeWires() : undefined
const server =
  wires === undefined
    ? createServer(options, onRequest)
    : createSecureServer({ ...options, ...wires.server, ca: wires.authority, requestCert: true, rejectUnauthorized: true }, onRequest)
obey({ port: await listen(server), secure: wires?.client }, { ...usageOrders(), compute: setCompute })
