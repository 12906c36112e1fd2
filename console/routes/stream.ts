import type { ServerResponse } from 'node:http'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { parse } from '../body.ts'
import type { Door } from '../door.ts'
import type { ConsolePorts } from '../port.ts'
import { FindingFilter, matches } from './incidents.ts'

/** A reader that is this far behind is cut off, rather than its backlog kept in memory. */
const maxBacklogBytes = 4 * 1_048_576
const heartbeatMs = 15_000

/**
 * Live streams as NDJSON: `GET /api/stream` sends `{type, data}` for incidents, findings and containments as they change;
 * `GET /api/findings/stream` sends findings alone, the past ones that match first. An empty line is a heartbeat. A
 * stream ends with the reader, with the console, or within a heartbeat of its reader's credential.
 */
export function streamRoutes(app: FastifyInstance, ports: ConsolePorts, door: Door): void {
  const running = new Set<ServerResponse>()
  // The server waits for answers to end, and these never do.
  app.addHook('preClose', async () => {
    for (const raw of running) raw.destroy()
  })
  // A HEAD request would be given a stream that never ends, and shows nothing.
  const options = { exposeHeadRoute: false }
  app.get('/api/stream', options, (request, reply) => {
    const write = open(reply, running, () => door.mayStay(request))
    write.until(
      ports.incidents.onChange((data) => write.line({ type: 'incident', data })),
      ports.findings.onChange((data) => write.line({ type: 'finding', data })),
      ports.containments.onChange((data) => write.line({ type: 'containment', data })),
    )
  })
  app.get('/api/findings/stream', options, (request, reply) => {
    const filter = parse(FindingFilter, request.query)
    const write = open(reply, running, () => door.mayStay(request))
    const past = ports.findings.recent().filter((finding) => filter.since !== undefined && matches(filter, finding))
    for (const finding of past.slice(-filter.limit)) write.line(finding)
    write.until(
      ports.findings.onChange((finding) => {
        if (matches(filter, finding)) write.line(finding)
      }),
    )
  })
}

interface Writer {
  line(value: object): void
  /** Calls these when the reader is gone. */
  until(...stops: readonly (() => void)[]): void
}

function open(reply: FastifyReply, running: Set<ServerResponse>, mayStay: () => boolean): Writer {
  const { raw } = reply
  const stops: (() => void)[] = []
  reply.hijack()
  running.add(raw)
  raw.writeHead(200, { 'content-type': 'application/x-ndjson', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' })
  raw.write('\n')
  const beat = () => {
    if (mayStay()) raw.write('\n')
    else raw.destroy()
  }
  const heartbeat = setInterval(beat, heartbeatMs)
  heartbeat.unref()
  raw.on('error', () => raw.destroy())
  raw.on('close', () => {
    clearInterval(heartbeat)
    running.delete(raw)
    for (const stop of stops) stop()
  })
  return {
    line: (value) => {
      if (raw.writableLength > maxBacklogBytes) raw.destroy()
      else raw.write(`${JSON.stringify(value)}\n`)
    },
    until: (...more) => {
      stops.push(...more)
    },
  }
}
