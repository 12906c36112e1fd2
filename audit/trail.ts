import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { newEvent } from '../bus/codec.ts'
import { lockDirectory } from '../bus/embedded/lock.ts'
import { type CordonEvent, type EventId, type Instant, type Name, uuidv7 } from '../schemas/index.ts'
import { bootId } from './boot.ts'
import { Chain } from './chain.ts'
import { signCheckpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import { Journal, readJournal } from './journal.ts'
import { type KeyFile, openKeyFile } from './key-file.ts'
import type { AuditEntry, AuditTrail } from './port.ts'
import { encodeEntry, encodeKeyChange, encodeOpened, framed, keyStatement, leafHash, type Opened, readPlace } from './record.ts'
import { type Resumed, resume } from './resume.ts'

export interface TrailOptions {
  /** Who writes: the node, or who carries out orders. */
  readonly writer: Name
  /** Where its key and its journal are; one process a directory. */
  readonly dir: string
  /** `decisions` leaves out requests that were served as they were asked. Default `all`. */
  readonly record?: 'all' | 'decisions'
  /** Hands an event on to whoever ships it; what was handed over is safe from kill -9 when `flush` returns. */
  readonly emit: (event: CordonEvent<'audit'>) => void
  readonly flush: () => void
  readonly clock: () => Instant
  readonly log: Logger
  /** A checkpoint is signed after so many records, and after so long (null: only by number) where there were any. Default 1,000 and 10,000 ms. */
  readonly checkpointRecords?: number
  readonly checkpointMs?: number | null
  /** Names the run of this machine; null where it cannot tell. Default: what Linux says. */
  readonly boot?: string | null
}

/** The trail of one writer; its directory is its own until it is closed. */
export interface WriterTrail extends AuditTrail {
  /** Signs what was written since the last time. */
  checkpoint(): void
  state(): { readonly log: string; readonly records: number; readonly unsigned: number; readonly publicKey: string }
  /** Signs, and says that this was an orderly end. */
  close(): void
}

/**
 * Opens the trail of a writer, going on where an earlier process was. See {@link Opened} for what it says of that.
 *
 * @throws AuditError `AUDIT_UNUSABLE`
 */
export function openAuditTrail(options: TrailOptions): WriterTrail {
  try {
    return new JournaledTrail(options)
  } catch (cause) {
    if (cause instanceof AuditError) throw cause
    const why = `Opening the audit trail in ${options.dir}: check that the directory can be written, and that no other process has it.`
    throw new AuditError('AUDIT_UNUSABLE', why, { cause })
  }
}

class JournaledTrail implements WriterTrail {
  readonly #options: TrailOptions
  readonly #boot: string | null
  readonly #path: string
  readonly #unlock: () => void
  readonly #key: KeyFile
  readonly #every: number
  readonly #timer: NodeJS.Timeout | undefined
  #chain: Chain
  #journal: Journal
  #isWhole = true
  /** Records that the last checkpoint covers. */
  #signed = -1
  #signing: NodeJS.Immediate | undefined
  #isClosed = false

  constructor(options: TrailOptions) {
    const { dir, writer, clock, checkpointRecords = 1_000, checkpointMs = 10_000, boot = bootId() } = options
    this.#options = options
    this.#boot = boot
    this.#every = checkpointRecords
    this.#path = join(dir, 'journal')
    this.#key = openKeyFile(dir)
    this.#unlock = lockDirectory(dir)
    try {
      const resumed = resume({ found: readJournal(this.#path), boot, writer, keys: this.#key })
      this.#chain = resumed.chain ?? Chain.empty(newLog(clock()))
      for (const { line, at } of resumed.lines) this.#handOn(line, leafHash(line), at, resumed.log, readPlace(Buffer.from(line))?.seq ?? 0)
      // Before the journal forgets them.
      options.flush()
      this.#journal = this.#begin(resumed)
      this.#changeKey()
      this.checkpoint()
    } catch (error) {
      this.#unlock()
      throw error
    }
    if (checkpointMs !== null) this.#timer = setInterval(() => this.checkpoint(), checkpointMs).unref()
  }

  append(entry: AuditEntry): void {
    if (this.#options.record === 'decisions' && isPlain(entry)) return
    const chain = this.#chain
    this.#write(encodeEntry(chain.log, chain.size, chain.head, entry), entry.at)
    if (chain.size - this.#signed >= this.#every) this.#signing ??= setImmediate(() => this.checkpoint())
  }

  checkpoint(): void {
    clearImmediate(this.#signing)
    this.#signing = undefined
    const { writer, clock, emit, flush } = this.#options
    const chain = this.#chain
    if (this.#isClosed || chain.size === this.#signed) return
    const { log, size } = chain
    const at = clock()
    const note = signCheckpoint({ writer, log, size, root: chain.root(), head: Buffer.from(chain.head, 'base64'), at }, this.#key.current)
    const id = idOf(createHash('sha256').update(note).digest(), at)
    emit(newEvent('audit', { writer, log, form: 'checkpoint', seq: size, text: note }, writer, at, id))
    // Before the journal forgets what was handed on.
    flush()
    this.#signed = size
    this.#renew()
  }

  state() {
    const { log, size } = this.#chain
    return { log, records: size, unsigned: size - Math.max(0, this.#signed), publicKey: this.#key.current.publicKey }
  }

  close(): void {
    if (this.#isClosed) return
    clearInterval(this.#timer)
    this.checkpoint()
    this.#isClosed = true
    this.#journal.close(this.#isWhole)
    this.#unlock()
  }

  /** In the journal first: what anybody was given must be known after a restart. */
  #write(line: string, at: Instant): void {
    const bytes = framed(line)
    const whole = this.#journal.append(bytes.subarray(1))
    if (!whole && this.#isWhole) {
      this.#isWhole = false
      this.#options.log.error('audit: the journal cannot be written; a restart before it can would begin a new log')
    }
    this.#handOn(line, this.#chain.push(bytes), at, this.#chain.log, this.#chain.size - 1)
  }

  #handOn(line: string, leaf: Buffer, at: Instant, log: string, seq: number): void {
    const { writer, emit } = this.#options
    emit(newEvent('audit', { writer, log, form: 'record', seq, text: line }, writer, at, idOf(leaf, at)))
  }

  #begin({ reason, after }: Resumed): Journal {
    const { writer, clock } = this.#options
    const chain = this.#chain
    const base = this.#base()
    const opened: Opened = { at: clock(), writer, publicKey: this.#key.current.publicKey, reason, after }
    const line = encodeOpened(chain.log, chain.size, chain.head, opened)
    // With its first record at once: a log without one would not say what it follows.
    const journal = new Journal(this.#path, base, [line])
    this.#handOn(line, chain.push(framed(line)), opened.at, chain.log, chain.size - 1)
    if (reason === 'power-cut' || reason === 'damaged')
      this.#options.log.warn({ reason, after, log: chain.log }, 'audit: what came before may not be known to its end; a new log begins')
    return journal
  }

  #changeKey(): void {
    const { next, current } = this.#key
    if (next === null) return
    const { writer, clock } = this.#options
    const at = clock()
    const signature = current.sign(keyStatement(writer, next.publicKey)).toString('base64')
    const { log, size, head } = this.#chain
    this.#write(encodeKeyChange(log, size, head, { at, publicKey: next.publicKey, signature }), at)
    this.#key.take()
  }

  #renew(): void {
    try {
      const renewed = new Journal(this.#path, this.#base())
      this.#journal.close(false)
      this.#journal = renewed
      this.#isWhole = true
    } catch (err) {
      // The one that is there goes on; it is only longer.
      this.#options.log.warn({ err }, 'audit: the journal could not be begun anew')
    }
  }

  #base() {
    const { writer, clock } = this.#options
    return { writer, ...this.#chain.state(), publicKey: this.#key.current.publicKey, boot: this.#boot, at: clock() }
  }
}

/** Served as it was asked: nothing was decided about it. */
function isPlain({ outcome, hardening, lease }: AuditEntry): boolean {
  return outcome === 'served' && hardening === 'none' && lease === null
}

/** Sorts by time, and no two are alike, whatever the clock does. */
function newLog(at: Instant): string {
  return at.toString(16).padStart(12, '0') + randomBytes(4).toString('hex')
}

/** The same for the same record, so that one that is sent twice is stored once. */
function idOf(leaf: Buffer, at: Instant): EventId {
  return uuidv7(at, leaf)
}
