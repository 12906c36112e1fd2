import { createHash } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Logger } from 'pino'
import { Pause } from '../bus/pause.ts'
import type { BusRecord, PartitionControl } from '../bus/port.ts'
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
  readonly store: Pick<Store, 'insert' | 'known' | 'settled' | 'lateMs'>
  readonly log: Logger
  /** Most rows of an insert, and most bytes of records that become one. */
  readonly maxRows: number
  readonly maxBytes: number
  /** Least time from the beginning of an insert to that of the next while there is no backlog. The first after a silence goes at once. */
  readonly maxWaitMs: number
  /** The store is asked. What follows is `onTrouble`, with an error or null, or `onLetGo`. */
  readonly onAttempt: () => void
  readonly onStored: (rows: number, duplicates: number, seconds: number) => void
  /** The store fails, or (with null) works again. */
  readonly onTrouble: (error: unknown) => void
  /** Nothing waits any more, since everyone who waited was told to stop. */
  readonly onLetGo: () => void
  /** A row that no retry can store; to be durable when it resolves. */
  readonly onRejected: (entry: Entry, error: unknown, signal: AbortSignal) => Promise<void>
}

/**
 * The part of the time between two inserts, at its end, in which the next is read for. On a server that is a quarter of a second, as long as
 * a fetch of the bus may have to wait for the one before it.
 */
const readingShare = 0.25

/** What the writer asks of the one whose entries it stores. */
export type Claim = Pick<PartitionControl, 'signal' | 'held'>

interface Load {
  readonly entries: readonly Entry[]
  readonly claim: Claim
  readonly stored: () => void
}

/**
 * Writes one table, one insert at a time, each event once by its id.
 *
 * Before an insert it asks the table which of the ids it has: that covers redelivery after a crash, replays however
 * late, and a producer that published an event twice. The insert's token is a digest of the ids in it, so that an
 * insert whose answer was lost, and which may still be running, is not done twice by its own retry; a token made of
 * offsets would not do, since what remains of a batch depends on what is known already.
 *
 * Right before an insert, whose partitions are not ours for certain any more (the process was paused, or is being
 * replaced) stop it: another may be storing the same.
 */
export class TableWriter {
  readonly #options: WriterOptions
  readonly #loads: Load[] = []
  readonly #pause = new Pause()
  #urgent = false
  /** When the next insert may begin. */
  #due = Number.NEGATIVE_INFINITY
  #running = false
  #wake: (() => void) | undefined
  /** An insert failed, perhaps without its end being known, and its retry would have other rows and so another token. */
  #unsettled = false
  #mayBeginUntil = Number.NEGATIVE_INFINITY

  constructor(options: WriterOptions) {
    this.#options = options
  }

  /**
   * Resolves when every entry is stored. While the store fails it does not, which is the back-pressure.
   *
   * @param urgent there is a backlog: do not wait for more
   * @throws the signal's reason when it aborted before the entries were stored: at once, or when an insert of them that
   *   was sent can begin no more, so that the next owner of the partition sees it or nobody does
   */
  async add(entries: readonly Entry[], urgent: boolean, claim: Claim): Promise<void> {
    if (entries.length === 0) return
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#loads.push({ entries, claim, stored: resolve })
    this.#urgent ||= urgent || this.#size() >= this.#options.maxRows
    if (this.#urgent) this.#wake?.()
    if (!this.#running) void this.#run()
    const { signal } = claim
    let late: NodeJS.Timeout | undefined
    const onAbort = (): void => {
      late = setTimeout(() => reject(signal.reason), this.#mayBeginFor())
    }
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort)
    try {
      await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      clearTimeout(late)
    }
  }

  /**
   * Resolves when it is time to read for the next insert, or when `signal` aborts. Who reads at once after an insert has little for
   * the next one, and what comes while that waits has to wait for the one after.
   */
  async rest(signal: AbortSignal): Promise<void> {
    const left = this.#due - readingShare * this.#options.maxWaitMs - performance.now()
    if (left <= 0 || signal.aborted) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, left)
    const onAbort = (): void => resolve()
    signal.addEventListener('abort', onAbort)
    await promise
    signal.removeEventListener('abort', onAbort)
    clearTimeout(timer)
  }

  /** Milliseconds for which an insert that was sent, and whose end is not known, may still begin. */
  #mayBeginFor(): number {
    return Math.max(0, this.#mayBeginUntil - performance.now())
  }

  #size(): number {
    return this.#loads.reduce((sum, load) => sum + load.entries.length, 0)
  }

  async #run(): Promise<void> {
    this.#running = true
    while (this.#loads.length > 0) {
      await this.#waitForMore()
      const { maxWaitMs } = this.#options
      const began = performance.now()
      await this.#write(this.#take())
      const ended = performance.now()
      // A store for which an insert takes long is left alone for as long again, so that others get their turn and the next has more.
      const pause = Math.min(maxWaitMs, Math.max(ended - began, readingShare * maxWaitMs))
      this.#due = Math.max(began + maxWaitMs, ended + pause)
    }
    this.#running = false
  }

  /** Small inserts are dear, so while nobody is behind they are spaced out. */
  async #waitForMore(): Promise<void> {
    const left = this.#due - performance.now()
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
    let waiting = loads.filter(({ claim }) => !claim.signal.aborted)
    while (waiting.length > 0) {
      this.#options.onAttempt()
      try {
        if (this.#unsettled) await this.#settle()
        const entries = unique(waiting.flatMap((load) => load.entries))
        const total = waiting.reduce((sum, load) => sum + load.entries.length, 0)
        const rows = await this.#storeMissing(entries, waiting)
        this.#pause.reset()
        this.#options.onTrouble(null)
        this.#options.onStored(rows, total - rows, (performance.now() - started) / 1_000)
        for (const load of waiting) load.stored()
        return
      } catch (error) {
        if (!(error instanceof NotOurs)) this.#noteFailure(error)
        await this.#pause.wait(anyOf(waiting))
        const before = waiting.length
        // Whoever was told to stop is let go by its own timer, see add.
        waiting = waiting.filter(({ claim }) => !claim.signal.aborted)
        this.#unsettled ||= waiting.length < before
      }
    }
    if (this.#loads.length === 0) this.#options.onLetGo()
  }

  async #settle(): Promise<void> {
    await delay(this.#mayBeginFor())
    await this.#options.store.settled()
    this.#unsettled = false
  }

  #noteFailure(error: unknown): void {
    this.#options.onTrouble(error)
    this.#options.log.warn({ err: error, table: this.#options.table }, 'storing failed; trying again, nothing is dropped')
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
    const onSend = (): void => {
      if (!loads.every(({ claim }) => claim.held() && !claim.signal.aborted)) throw new NotOurs()
      this.#mayBeginUntil = performance.now() + store.lateMs
    }
    try {
      await store.insert(table, rows, tokenOf(table, entries), onSend)
      this.#mayBeginUntil = Number.NEGATIVE_INFINITY
      return entries.length
    } catch (error) {
      if (!(error instanceof CordonError) || error.code !== 'INSERT_REJECTED') throw error
      this.#mayBeginUntil = Number.NEGATIVE_INFINITY
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

/** Some of the rows are another's to store now, or may be. */
class NotOurs extends Error {}

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
  return AbortSignal.any(loads.map((load) => load.claim.signal))
}
