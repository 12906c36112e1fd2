import type { Readable } from 'node:stream'
import type { ChdbConnection } from 'chdb/connection'

type Calls = Pick<ChdbConnection, 'query' | 'command' | 'insert' | 'exec' | 'ping' | 'close'>

/**
 * A connection of the in-process engine that does one thing at a time, and rinses after a failure: chdb 3.4 leaves
 * what a failed query had written already in the connection, and hands it out at the head of the next answer,
 * whoever asks.
 */
export class SerialConnection implements Calls {
  readonly #inner: Calls
  #tail: Promise<unknown> = Promise.resolve()

  constructor(inner: Calls) {
    this.#inner = inner
  }

  query(params: Parameters<Calls['query']>[0]): ReturnType<Calls['query']> {
    return this.#next(() => this.#inner.query(params))
  }

  command(params: Parameters<Calls['command']>[0]): ReturnType<Calls['command']> {
    return this.#next(() => this.#inner.command(params))
  }

  insert(params: Parameters<Calls['insert']>[0]): ReturnType<Calls['insert']> {
    return this.#next(() => this.#inner.insert(params))
  }

  exec(params: Parameters<Calls['exec']>[0]): ReturnType<Calls['exec']> {
    return this.#next(() => this.#inner.exec(params))
  }

  ping(params: Parameters<Calls['ping']>[0]): ReturnType<Calls['ping']> {
    return this.#next(() => this.#inner.ping(params))
  }

  /** After everything that was asked before. */
  async close(): Promise<void> {
    await this.#tail
    await this.#inner.close()
  }

  #next<T>(call: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(call)
    this.#tail = result.catch(() => this.#rinse())
    return result
  }

  async #rinse(): Promise<void> {
    try {
      const { stream } = await this.#inner.query({ query: 'SELECT 1 FORMAT Null' })
      ;(stream as Readable).destroy()
    } catch {
      // Closed, or so broken that the next call will say so itself.
    }
  }
}
