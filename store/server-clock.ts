import type { ClickHouseClient } from '@clickhouse/client'
import type { Instant } from '../schemas/index.ts'

/** How long one reading of the server's clock is gone by, milliseconds. */
const readingHolds = 60_000

/** The server's time, so that an insert can say until when the server may begin it. */
export class ServerClock {
  readonly #client: ClickHouseClient
  #reading: { readonly server: Instant; readonly at: number } | undefined

  constructor(client: ClickHouseClient) {
    this.#client = client
  }

  /** The server's time as it was at the call, or a little before: never later. Reads its clock once a minute. */
  async now(): Promise<Instant> {
    const asked = performance.now()
    const reading = this.#reading
    if (reading !== undefined && asked - reading.at < readingHolds) return Math.floor(reading.server + asked - reading.at)
    // A number as a string in JSON: of an answer that was cut on the way, nothing is left.
    const result = await this.#client.query({ query: 'SELECT toString(toUnixTimestamp64Milli(now64(3)))', format: 'JSONCompact' })
    const server = Number((await result.json<[string]>()).data[0]?.[0])
    const at = performance.now()
    this.#reading = { server, at }
    return Math.floor(server - (at - asked))
  }

  /** Reads the clock anew next time: one of the two clocks may have been set. */
  forget(): void {
    this.#reading = undefined
  }
}
