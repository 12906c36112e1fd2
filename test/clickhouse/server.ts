/** A ClickHouse that tests may hurt. Its port stays the same whatever happens to it. */
export interface ClickHouseServer {
  readonly url: string
  /** Where it came from, for the test's output. */
  readonly origin: string
  /** kill -9. */
  kill(): Promise<void>
  /** It takes connections and answers nothing. */
  pause(): Promise<void>
  resume(): Promise<void>
  /** After {@link kill}, on the same data; answers when it resolves. */
  restart(): Promise<void>
  /** For good, and its data with it where they were made here. */
  stop(): Promise<void>
}

export interface ServerOptions {
  /** Data directory, kept by `stop`. Default: a new one, which is not. */
  readonly path?: string
  readonly port?: number
}
