import { hash } from 'node:crypto'
import { z } from 'zod'
import { readCheckpoint, type SignedCheckpoint } from './checkpoint.ts'
import { AuditError } from './errors.ts'
import type { FoundRecord, Statement } from './found-record.ts'
import { LogVerifier } from './log-verifier.ts'
import { type RecordPlace, readPlace } from './record.ts'
import { Problems, type Verdict } from './verdict.ts'

export interface VerifyOptions {
  /** Public keys of the writers, base64; without any, those that the logs state are taken, and the verdict says so. */
  readonly keys: readonly string[]
  /** Checkpoints that somebody kept elsewhere: the logs must hold what they cover. */
  readonly kept?: readonly SignedCheckpoint[]
  /** Told now and then how many lines were read. */
  readonly onProgress?: (lines: number) => void
}

/** Logs of one export; each process that starts after a power cut begins one. */
const mostLogs = 10_000
const longestLine = 2_097_152
const progressLines = 100_000
const newline = 0x0a

const CheckpointLine = z.strictObject({ checkpoint: z.string() })
const StatementLine = z.object({
  kind: z.enum(['opened', 'key']),
  writer: z.string().optional(),
  publicKey: z.string(),
  signature: z.string().optional(),
  after: z.object({ log: z.string(), size: z.number(), head: z.string() }).nullable().optional(),
})

/**
 * Verifies an export (one record or `{"checkpoint": …}` a line; see docs/access.md) in one pass.
 *
 * @throws AuditError `AUDIT_UNREADABLE` where it is no export at all
 */
export async function verifyExport(chunks: AsyncIterable<Uint8Array>, options: VerifyOptions): Promise<Verdict> {
  const verifier = new ExportVerifier(options)
  let rest = Buffer.alloc(0)
  for await (const chunk of chunks) {
    // One byte before each line is what its hash begins with.
    const bytes = Buffer.concat([Buffer.of(newline), rest, chunk])
    rest = Buffer.from(bytes.subarray(verifier.lines(bytes)))
    if (rest.length > longestLine)
      throw new AuditError(
        'AUDIT_UNREADABLE',
        `Verifying: a line is longer than ${longestLine} bytes; this is no export of an audit trail.`,
      )
  }
  if (rest.length > 0) verifier.lines(Buffer.concat([Buffer.of(newline), rest, Buffer.of(newline)]))
  return verifier.end()
}

class ExportVerifier {
  readonly #options: VerifyOptions
  readonly #keys: Set<string> | null
  readonly #problems = new Problems()
  readonly #logs = new Map<string, LogVerifier>()
  readonly #links: { readonly from: string; readonly line: number; readonly after: NonNullable<Statement['after']> }[] = []
  #current: LogVerifier | undefined
  /** A record of a log that did not begin; whether it is one, the next line tells. */
  #foreign: { readonly place: RecordPlace; readonly record: FoundRecord } | null = null
  #line = 0
  #records = 0

  constructor(options: VerifyOptions) {
    this.#options = options
    this.#keys = options.keys.length === 0 ? null : new Set(options.keys)
  }

  /**
   * Takes all whole lines.
   *
   * @param bytes a newline, then lines; bytes before lines are written over
   * @returns where the first line begins that is not whole
   */
  lines(bytes: Buffer): number {
    let start = 1
    for (let end = bytes.indexOf(newline, start); end >= 0; end = bytes.indexOf(newline, start)) {
      this.#take(bytes, start, end)
      start = end + 1
    }
    return start
  }

  end(): Verdict {
    this.#dropForeign()
    for (const verifier of this.#logs.values()) verifier.end()
    for (const link of this.#links) this.#checkLink(link)
    for (const { log, size } of this.#options.kept ?? []) {
      if (this.#logs.has(log)) continue
      this.#problems.add({
        kind: 'dropped',
        log,
        seq: 0,
        until: size - 1,
        line: null,
        message: `a checkpoint that was kept covers ${size} records of log ${log}, which is not there`,
      })
    }
    const logs = [...this.#logs.values()].map((verifier) => verifier.summary())
    const { list, more } = this.#problems
    return {
      ok: list.length === 0 && this.#records > 0,
      records: this.#records,
      checkpoints: logs.reduce((sum, { checkpoints }) => sum + checkpoints, 0),
      unsigned: [...this.#logs.values()].reduce((sum, verifier) => sum + verifier.size - verifier.summary().signed, 0),
      logs,
      pinned: this.#keys !== null,
      problems: list,
      more,
    }
  }

  #take(bytes: Buffer, start: number, end: number): void {
    this.#line++
    if (this.#line % progressLines === 0) this.#options.onProgress?.(this.#line)
    const line = bytes.subarray(start, end)
    const place = readPlace(line)
    if (place === undefined) return this.#takeOther(line)
    this.#records++
    bytes[start - 1] = 0
    const leaf = hash('sha256', bytes.subarray(start - 1, end), 'buffer')
    const statement = place.kind === 'entry' ? undefined : statementOf(line)
    const record = { seq: place.seq, prev: place.prev, leaf, line: this.#line, statement }
    const verifier = this.#verifierOf(place, record)
    if (verifier === undefined) return
    if (statement?.kind === 'opened' && statement.after) this.#noteLink(place.log, statement.after)
    verifier.record(record)
  }

  #takeOther(line: Buffer): void {
    const checkpoint = checkpointOf(line)
    if (checkpoint?.log === this.#foreign?.place.log) this.#takeForeign()
    else this.#dropForeign()
    if (checkpoint === undefined) {
      const log = this.#current?.log ?? ''
      this.#problems.add({
        kind: 'unreadable',
        log,
        seq: null,
        until: null,
        line: this.#line,
        message: `line ${this.#line} is neither a record nor a checkpoint`,
      })
      return
    }
    this.#logNamed(checkpoint.log).checkpoint(checkpoint, this.#line)
  }

  /** Undefined where it has to be seen first whether the log is one. */
  #verifierOf(place: RecordPlace, record: FoundRecord): LogVerifier | undefined {
    if (this.#current?.log === place.log && this.#foreign === null) return this.#current
    const foreign = this.#foreign
    if (!this.#logs.has(place.log) && record.seq > 0 && foreign?.place.log !== place.log) {
      this.#dropForeign()
      this.#foreign = { place, record }
      return undefined
    }
    if (foreign?.place.log === place.log) this.#takeForeign()
    else this.#dropForeign()
    return this.#logNamed(place.log)
  }

  /** There is more of its log, which only lacks its beginning. */
  #takeForeign(): void {
    const foreign = this.#foreign
    this.#foreign = null
    if (foreign !== null) this.#logNamed(foreign.place.log).record(foreign.record)
  }

  #dropForeign(): void {
    const foreign = this.#foreign
    this.#foreign = null
    if (foreign === null) return
    const { place, record } = foreign
    this.#problems.add({
      kind: 'inserted',
      log: place.log,
      seq: record.seq,
      until: null,
      line: record.line,
      message: `line ${record.line} is of log ${place.log}, which has no beginning`,
    })
  }

  #logNamed(log: string): LogVerifier {
    let verifier = this.#logs.get(log)
    if (verifier === undefined) {
      if (this.#logs.size >= mostLogs)
        throw new AuditError('AUDIT_UNREADABLE', `Verifying: there are more than ${mostLogs} logs; verify them in several exports.`)
      verifier = new LogVerifier(log, this.#keys, this.#problems)
      for (const kept of this.#options.kept ?? []) if (kept.log === log) verifier.expect(kept)
      this.#logs.set(log, verifier)
    }
    this.#current = verifier
    return verifier
  }

  #noteLink(from: string, after: NonNullable<Statement['after']>): void {
    if (after.log !== from && this.#links.length < mostLogs) this.#links.push({ from, line: this.#line, after })
  }

  /** A log that follows another one says how far that went: it may not end before. */
  #checkLink({
    from,
    line,
    after,
  }: {
    readonly from: string
    readonly line: number
    readonly after: NonNullable<Statement['after']>
  }): void {
    const before = this.#logs.get(after.log)
    if (after.size === 0 || (before?.size ?? 0) > after.size) return
    const say = (kind: 'dropped' | 'unlinked', seq: number, message: string) =>
      this.#problems.add({ kind, log: after.log, seq, until: after.size - 1, line, message })
    if (before === undefined || before.size < after.size) {
      say('dropped', before?.size ?? 0, `log ${from} follows ${after.size} records of log ${after.log}, which has ${before?.size ?? 0}`)
    } else if (before.head !== null && before.head !== after.head)
      say('unlinked', after.size - 1, `log ${from} follows another record ${after.size - 1} of log ${after.log}`)
  }
}

function statementOf(line: Buffer): Statement | undefined {
  return StatementLine.safeParse(parsed(line)).data
}

function checkpointOf(line: Buffer): SignedCheckpoint | undefined {
  const read = CheckpointLine.safeParse(parsed(line))
  return read.success ? readCheckpoint(read.data.checkpoint) : undefined
}

function parsed(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString())
  } catch {
    return undefined
  }
}
