import type { EndpointCount } from '../port.ts'
import type { Upstream } from './upstream.ts'

/** What the runtimes of a pool behind the node have in common, whatever protocol is spoken there. */
export abstract class UpstreamRuntime {
  protected abstract readonly upstream: Upstream

  /** As `Upstream.start`. */
  start(): Promise<void> {
    return this.upstream.start()
  }

  depth(pool: string): number {
    return pool === this.upstream.pool ? this.upstream.depth : 0
  }

  ready(pool: string): boolean {
    return pool === this.upstream.pool && this.upstream.ready
  }

  endpoints(pool: string): EndpointCount | undefined {
    return pool === this.upstream.pool ? this.upstream.endpoints : undefined
  }

  close(): Promise<void> {
    return this.upstream.close()
  }
}
