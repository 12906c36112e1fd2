import { Pool } from 'undici'
import type { Reception } from './reception.ts'

/** A request as it is sent: header names and values alternate. */
export interface Outgoing {
  readonly method: 'GET' | 'POST'
  /** Below the endpoint's base address, with its slash. */
  readonly path: string
  readonly headers: readonly string[]
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
  readonly #prefix: string
  readonly #pool: Pool

  constructor(address: string, settings: EndpointSettings) {
    const { origin, protocol, hostname, port, pathname } = new URL(address)
    this.label = `${hostname}:${port === '' ? (protocol === 'https:' ? '443' : '80') : port}`
    this.#prefix = pathname.replace(/\/+$/, '')
    this.#pool = new Pool(origin, {
      connections: settings.connections,
      pipelining: 1,
      // The reception's own patience comes first.
      connect: { timeout: 60_000, ...(settings.ca === null ? {} : { ca: settings.ca }) },
      headersTimeout: 0,
      bodyTimeout: 0,
      maxHeaderSize: 16_384,
    })
  }

  /** Sends a request; whatever comes of it comes to the reception, even what undici throws at once. */
  send({ method, path, headers, body }: Outgoing, reception: Reception): void {
    this.#pool.dispatch({ method, path: this.#prefix + path, headers: headers as string[], body }, reception)
  }

  /** Ends every connection, and every request on one. */
  close(): Promise<void> {
    return this.#pool.destroy()
  }
}
