import { Pool } from 'undici'
import { DeadlineWatch } from '../deadline-watch.ts'
import type { Reception } from './reception.ts'

/** A request as it is sent: header names and values alternate. */
export interface Outgoing {
  readonly method: 'GET' | 'POST'
  /** Below the endpoint's base address, with its slash. */
  readonly path: string
  readonly headers: string[]
  readonly body: Uint8Array | null
}

export interface EndpointSettings {
  readonly connections: number
  readonly ca: string | null
}

/** One address of an upstream and the connections to it. Redirects are not followed, nothing is sent twice, proxies are not asked. */
export class Endpoint {
  /** `host:port`: what events, metrics and logs call it. */
  readonly label: string
  /** Looks after what is received from it. */
  readonly watch = new DeadlineWatch()
  readonly #prefix: string
  readonly #pool: Pool
  /** For checks and questions about models, so that they never wait behind requests. */
  readonly #aside: Pool

  constructor(address: string, { connections, ca }: EndpointSettings) {
    const { origin, protocol, hostname, port, pathname } = new URL(address)
    this.label = `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`
    this.#prefix = pathname.replace(/\/+$/, '')
    const options = {
      pipelining: 1,
      // The reception's own patience comes first.
      connect: { timeout: 60_000, ...(ca === null ? {} : { ca }) },
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 16_384,
    }
    this.#pool = new Pool(origin, { ...options, connections })
    this.#aside = new Pool(origin, { ...options, connections: 2 })
  }

  /** Sends a request; whatever comes of it comes to the reception, even what undici throws at once. */
  send(outgoing: Outgoing, reception: Reception): void {
    this.#dispatch(this.#pool, outgoing, reception)
  }

  /** The same, on connections that requests do not use. */
  sendAside(outgoing: Outgoing, reception: Reception): void {
    this.#dispatch(this.#aside, outgoing, reception)
  }

  /** Ends every connection, and every request on one. */
  async close(): Promise<void> {
    await Promise.all([this.#pool.destroy(), this.#aside.destroy()])
  }

  #dispatch(pool: Pool, { method, path, headers, body }: Outgoing, reception: Reception): void {
    pool.dispatch({ method, path: this.#prefix + path, headers, body }, reception)
  }
}
