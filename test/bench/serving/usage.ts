import { once } from 'node:events'
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openProfiler } from './profile.ts'

export interface Usage {
  /** CPU time of the whole process since it began. */
  readonly cpuMicros: number
  readonly rss: number
  readonly heapUsed: number
  readonly external: number
}

/** What every program of the bench can say of itself. */
export function usageOrders() {
  const profiler = openProfiler()
  return {
    usage: (): Usage => {
      const { user, system } = process.cpuUsage()
      const { rss, heapUsed, external } = process.memoryUsage()
      return { cpuMicros: user + system, rss, heapUsed, external }
    },
    profile: () => profiler.start(),
    profiled: () => profiler.stop(),
  }
}

/** Resolves with the port. */
export async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}
