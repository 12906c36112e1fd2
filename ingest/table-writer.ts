import { createHash } from 'node:crypto'
import type { Logger } from 'pino'
import { Pause } from '../bus/pause.ts'
import type { BusRecord } from '../bus/port.ts'
import { CordonError, type EventId } from '../schemas/index.ts'
import type { Row, Store, TableName } from '../store/index.ts'

/** An event on its way into a table. */
export interface Entry {
  readonly id: EventId
  readonly row: Row
  /** What it came from, for a dead letter. */
  readonly record: BusRecord
}

export interface WriterOptions {
  readonly table: TableName
  readonly store: Pick<Store, 'insert' | 'known' | 'settled'>
  readonly log: Logger
  /** Most rows of an insert, and most bytes of records that become one. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Least time between two inserts while there is no backlog. The first after a silence goes at once. */
  readonly maxWaitMs: number
  readonly onStored: (rows: number, duplicates: number, seconds: number) => void
  /** The store fails, or (with null) works again. */
  readonly onTrouble: (error: unknown) => void
  /** A row that no retry can store; to be durable when it resolves. */
  readonly onRejected: (entry: Entry, error: unknown, signal: AbortSignal) => Promise<void>
}

interface Load {
  readonly entries: readonly Entry[]
  readonly signal: AbortSignal
  readonly stored: () => void
  readonly abandoned: (reason: unknown) => void
}

/**
 * Writes one table, one insert at a time, each event once by its id.
 *
 * Before an insert it asks the table which of the ids it has: that covers redelivery after a crash, replays however
 * late, and a producer that published an event twice. The insert's token is a digest of the ids in it, so that an
 * insert whose answer was lost, and which may still be running, is not done twice by its own retry; a token made of
 * offsets would not do, since what remains of a batch depends on what is known already.
 */
export class TableWriter {
  readonly #options: WriterOptions
  readonly #loads: Load[] = []
  readonly #pause = new Pause()
  #urgent = false
  #last = Number.NEGATIVE_INFINITY
  #running = false
  #wake: (() => void) | undefined

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /**
   * Resolves when every entry is stored. While the store fails it does not, which is the back-pressure.
   *
   * @param urgent there is a backlog: do not wait for more
   * @throws the signal's reason, when it aborted before the entries could be stored
   */
  async add(entries: readonly Entry[], urgent: boolean, signal: AbortSignal): Promise<void> {
    if (entries.length === 0) return
    const stored = new Promise<void>((resolve, reject) => {
      this.#loads.push({ entries, signal, stored: resolve, abandoned: reject })
    })
    this.#urgent ||= urgent || this.#size() >= this.#options.maxRows
    if (this.#urgent) this.#wake?.()
    if (!this.#running) void this.#run()
    return stored
  }

  #size(): number {
    return this.#loads.reduce((sum, load) => sum + load.entries.length, 0)
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#loads.length > 0) {
      await this.#waitForMore()
      await this.#write(this.#take())
      this.#last = performance.now()
    }
    this.#running = false
  }

  /** Small inserts are dear, so while nobody is behind they are spaced out. */
  async #waitForMore(): Promise<void> {
    const left = this.#last + this.#options.maxWaitMs - performance.now()
    if (left > 0 && !this.#urgent) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      this.#wake = undefined
    }
    this.#urgent = false
  }

  #take(): Load[] {
    let rows = 0
    let bytes = 0
    let count = 0
    for (const { entries } of this.#loads) {
      rows += entries.length
      bytes += entries.reduce((sum, { record }) => sum + (record.value?.length ?? 0), 0)
      if (count > 0 && (rows > this.#options.maxRows || bytes > this.#options.maxBytes)) break
      count++
    }
    return this.#loads.splice(0, count)
  }

  /** Tries until it is done; whoever is told to stop while it fails is let go, and its events come again. */
  async #write(loads: Load[]): Promise<void> {
    const started = performance.now()
    let waiting = loads
    while (waiting.length > 0) {
      try {
        const entries = unique(waiting.flatMap((load) => load.entries))
        const total = waiting.reduce((sum, load) => sum + load.entries.length, 0)
        const rows = await this.#storeMissing(entries, waiting)
        this.#pause.reset()
        this.#options.onTrouble(null)
        this.#options.onStored(rows, total - rows, (performance.now() - started) / 1_000)
        for (const load of waiting) load.stored()
        return
      } catch (error) {
        this.#options.onTrouble(error)
        this.#options.log.warn({ err: error, table: this.#options.table }, 'storing failed; trying again, nothing is dropped')
        const before = waiting.length
        await this.#pause.wait(anyOf(waiting))
        waiting = letGo(waiting)
        // With other rows the retry has another token, so an insert whose answer was lost has to have ended first.
        if (waiting.length < before && waiting.length > 0) await this.#options.store.settled().catch(() => {})
      }
    }
  }

  /** @returns how many were stored now */
  async #storeMissing(entries: readonly Entry[], loads: readonly Load[]): Promise<number> {
    const { table, store } = this.#options
    const known = await store.known(
      table,
      entries.map(({ id }) => id),
    )
    const missing = entries.filter(({ id }) => !known.has(id.toLowerCase()))
    return missing.length === 0 ? 0 : this.#insert(missing, loads)
  }

  /** Halves what the engine cannot read until the row that it is stands alone. */
  async #insert(entries: readonly Entry[], loads: readonly Load[]): Promise<number> {
    const { table, store } = this.#options
    const rows = entries.map(({ row }) => row)
    try {
      await store.insert(table, rows, tokenOf(table, entries))
      return entries.length
    } catch (error) {
      if (!(error instanceof CordonError) || error.code !== 'INSERT_REJECTED') throw error
      const [first] = entries
      if (entries.length === 1 && first !== undefined) {
        await this.#options.onRejected(first, error, anyOf(loads))
        return 0
      }
      const half = Math.ceil(entries.length / 2)
      return (await this.#insert(entries.slice(0, half), loads)) + (await this.#insert(entries.slice(half), loads))
    }
  }
}

function unique(entries: readonly Entry[]): Entry[] {
  const byId = new Map<string, Entry>()
  for (const entry of entries) {
    const id = entry.id.toLowerCase()
    if (!byId.has(id)) byId.set(id, entry)
  }
  return [...byId.values()]
}

function tokenOf(table: TableName, entries: readonly Entry[]): string {
  const hash = createHash('sha256')
  for (const { id } of entries) hash.update(id)
  return `${table}:${entries.length}:${hash.digest('hex')}`
}

/** Made only after a failure: the signals live as long as their partitions, and remember what hangs on them. */
function anyOf(loads: readonly Load[]): AbortSignal {
  return AbortSignal.any(loads.map((load) => load.signal))
}

function letGo(loads: readonly Load[]): Load[] {
  return loads.filter((load) => {
    if (load.signal.aborted) load.abandoned(load.signal.reason)
    return !load.signal.aborted
  })
}
