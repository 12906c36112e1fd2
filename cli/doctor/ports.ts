import { createServer } from 'node:net'
import type { Config } from '../config/schema.ts'
import type { Check, DoctorContext, Result } from './check.ts'

export interface Listener {
  readonly name: string
  readonly host: string
  readonly port: number
  /** What changes the port. */
  readonly how: string
  readonly reusePort?: boolean
}

/** What `cordon start` listens on, and the metrics of single roles where they have a port. */
export function listenersOf({ inference, console, metrics }: Config): Listener[] {
  const { host, port, processes } = inference
  const reusePort = inference.reusePort || processes > 1
  return [
    { name: 'inference', host, port, reusePort, how: '--port or inference.port' },
    { name: 'console', host: console.host, port: console.port, how: '--console-port or console.port' },
    ...(metrics.port === null ? [] : [{ name: 'metrics', host: metrics.host, port: metrics.port, how: 'metrics.port' }]),
  ]
}

export function portCheck(listener: Listener): Check {
  const { name, host, port } = listener
  return {
    id: `port:${name}`,
    title: `Port of ${name}`,
    run: async (context) => {
      if (port === 0) return { status: 'ok', found: 'a free one at each start' }
      const refused = await tryListening(listener)
      if (refused === null) return { status: 'ok', found: `${host}:${port} is free` }
      if (refused === 'EADDRINUSE' && (await isOurs(listener, context)))
        return { status: 'ok', found: `${host}:${port} is our running instance's` }
      return explain(listener, refused)
    },
  }
}

/** @returns why not: an error code of the system */
function tryListening({ host, port, reusePort = false }: Listener): Promise<string | null> {
  const server = createServer()
  const { promise, resolve } = Promise.withResolvers<string | null>()
  server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
  server.listen({ host, port, exclusive: true, reusePort }, () => server.close(() => resolve(null)))
  return promise
}

async function isOurs({ name, port }: Listener, { running }: DoctorContext): Promise<boolean> {
  const instance = await running()
  if (instance === null) return false
  const url = name === 'inference' ? instance.inference : name === 'console' ? instance.console : null
  return url !== null && new URL(url).port === String(port)
}

function explain({ host, port, how }: Listener, code: string): Result {
  const place = `${host}:${port}`
  if (code === 'EADDRINUSE')
    return {
      status: 'fail',
      found: `${place} is taken by something else`,
      advice: `\`ss -ltnp 'sport = :${port}'\` says by what; stop that, or choose another with ${how}`,
    }
  if (code === 'EACCES')
    return {
      status: 'fail',
      found: `${place} may not be used by this user`,
      advice: `ports below 1024 need CAP_NET_BIND_SERVICE; choose another with ${how}`,
    }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND')
    return {
      status: 'fail',
      found: `${host} is no address of this machine (${code})`,
      advice: 'set the host to one that is, or to 127.0.0.1',
    }
  return { status: 'fail', found: `${place} cannot be listened on: ${code}`, advice: `choose another with ${how}` }
}
