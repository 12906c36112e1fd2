import { Readable } from 'node:stream'
import Fastify from 'fastify'
import { Pool } from 'undici'
import { argumentOf, obey } from './child.ts'
import { usageOrders } from './usage.ts'

// The least that a proxy of Fastify and undici does: bodies as bytes, answers passed on. The argument: where to.

const { upstream } = argumentOf<{ readonly upstream: number }>()
const pool = new Pool(`http://127.0.0.1:${upstream}`, { connections: 128, pipelining: 1 })
const app = Fastify({ logger: false, bodyLimit: 4_194_304 })
app.removeAllContentTypeParsers()
app.addContentTypeParser<Buffer>('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
app.post('/*', async (request, reply) => {
  const headers = { 'content-type': request.headers['content-type'] ?? 'application/json' }
  const answer = await pool.request({ method: 'POST', path: request.url, headers, body: request.body as Buffer })
  const type = String(answer.headers['content-type'])
  reply.code(answer.statusCode).type(type)
  if (type.startsWith('text/event-stream')) return reply.send(Readable.from(answer.body))
  return reply.send(Buffer.from(await answer.body.arrayBuffer()))
})
const url = await app.listen({ host: '127.0.0.1', port: 0 })
obey({ port: Number(new URL(url).port) }, usageOrders())
