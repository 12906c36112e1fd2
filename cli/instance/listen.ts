import type { FastifyInstance } from 'fastify'
import { CliError } from '../errors.ts'

/** What changes the port. */
const how = { inference: '--port', console: '--console-port', ingest: 'ingest.port', metrics: 'metrics.port' } as const

/**
 * Runs `start`, which listens.
 *
 * @throws CliError `PORT_IN_USE`, with the flag or setting that changes it
 */
export async function listening<T>(what: keyof typeof how, at: { host: string; port: number }, start: () => Promise<T>): Promise<T> {
  try {
    return await start()
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw cause
    throw new CliError('PORT_IN_USE', `${at.host}:${at.port} is in use: choose another with ${how[what]}, or 0 for a free one`, { cause })
  }
}

/** Where an application listens, as clients write it. */
export function urlOf(app: FastifyInstance, host: string): string {
  const address = app.server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const reachable = host === '0.0.0.0' || host === '::' ? '127.0.0.1' : host
  return `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}`
}
