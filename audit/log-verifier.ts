import { isCheckpointSignedBy, type SignedCheckpoint } from './checkpoint.ts'
import type { FoundRecord, Statement } from './found-record.ts'
import { isSignedBy } from './keys.ts'
import { keyStatement, noHash } from './record.ts'
import { Strays } from './strays.ts'
import { Frontier } from './tree.ts'
import type { LogSummary, ProblemKind, Problems } from './verdict.ts'

/** A record whose hash its successor contradicts: it was changed, or what the successor says of it. */
interface Doubt {
  readonly record: FoundRecord
  readonly witness: string
}

/** Checkpoints that wait for records which were not there yet. */
const mostWaiting = 10_000

/**
 * Verifies one log as its lines go by, in memory that does not grow with it. The hash of a record is confirmed by the record
 * after it, or by a checkpoint; where they differ, the next one tells which of the two was changed. A dropped record's hash is
 * known from its successor too, so that one loss leaves the tree, and every later checkpoint, verifiable.
 */
export class LogVerifier {
  readonly log: string
  readonly #problems: Problems
  readonly #keys: Set<string>
  readonly #strays: Strays
  readonly #waiting: SignedCheckpoint[] = []
  #tree = new Frontier()
  /** False where so much is missing that the tree cannot be built. */
  #isTreeKnown = true
  #next = 0
  #last: FoundRecord | null = null
  /** A second line that says the number of the last. */
  #rival: FoundRecord | null = null
  #doubt: Doubt | null = null
  /** Hash of the record before `#next`, where it is settled already. */
  #settled: string | null = noHash
  #held: FoundRecord | null = null
  /** It was said that no key is known. */
  #isKeyMissed = false
  #count = 0
  #checkpoints = 0
  #signed = 0
  writer = ''

  /** @param keys known to be writers', to which those are added that they vouch for; null takes what the log states */
  constructor(log: string, keys: Set<string> | null, problems: Problems) {
    this.log = log
    this.#problems = problems
    this.#keys = keys ?? new Set()
    this.#strays = new Strays(log, problems)
  }

  /** A checkpoint that somebody kept: the log must hold what it covers. */
  expect(checkpoint: SignedCheckpoint): void {
    this.#wait(checkpoint)
  }

  /** Records up to here were seen, or are known to be missing. */
  get size(): number {
    return this.#next
  }

  /** Hash of the last record, base64, once {@link end} settled it. */
  get head(): string | null {
    return this.#settled
  }

  record(record: FoundRecord): void {
    this.#count++
    const held = this.#held
    if (held !== null) {
      this.#held = null
      if (record.seq === this.#next || (record.seq === this.#next + 1 && record.seq !== held.seq + 1)) this.#strays.early(held)
      else this.#accept(held)
    }
    if (record.seq === this.#next) this.#accept(record)
    else if (record.seq < this.#next) this.#late(record)
    else if (this.#strays.isOnlyGap(this.#next, record)) this.#accept(record)
    else this.#held = record
  }

  checkpoint(checkpoint: SignedCheckpoint, line: number): void {
    this.#checkpoints++
    this.writer ||= checkpoint.writer
    const { size } = checkpoint
    if (![...this.#keys].some((key) => isCheckpointSignedBy(checkpoint, key))) {
      if (this.#keys.size > 0)
        return this.#say('unsigned', size, null, line, `the signature of the checkpoint over ${size} records does not hold`)
      if (this.#isKeyMissed) return
      this.#isKeyMissed = true
      return this.#say(
        'unsigned',
        null,
        null,
        line,
        'no key of this log is known, so that nothing tells whether its checkpoints are its own',
      )
    }
    // What was held is not followed by its successor any more; what is of after the checkpoint may yet be.
    if (this.#held !== null && this.#held.seq < size) this.#release()
    if (size === this.#next) {
      this.#settle(checkpoint.head.toString('base64'), true)
      this.#compare(checkpoint, line)
    } else if (size > this.#next) this.#wait(checkpoint)
    else this.#say('moved', size, null, line, `checkpoint over ${size} records stands after record ${this.#next - 1}`)
  }

  /** There are no more lines. */
  end(): void {
    this.#release()
    const last = this.#waiting.findLast(({ size }) => size > this.#next)
    if (last !== undefined) {
      const prev = last.head.toString('base64')
      const missing = last.size - this.#next
      this.#strays.gap(this.#next, { seq: last.size, prev, line: 0 })
      if (missing === 1) this.#push(last.head)
    }
    this.#strays.end()
  }

  summary(): LogSummary {
    const { log, writer } = this
    return { writer, log, records: this.#count, checkpoints: this.#checkpoints, signed: this.#signed, keys: [...this.#keys] }
  }

  #wait(checkpoint: SignedCheckpoint): void {
    if (this.#waiting.length >= mostWaiting) return
    const after = this.#waiting.findIndex(({ size }) => size > checkpoint.size)
    this.#waiting.splice(after < 0 ? this.#waiting.length : after, 0, checkpoint)
  }

  #release(): void {
    const held = this.#held
    this.#held = null
    if (held !== null) this.#accept(held)
  }

  /** Takes the next record, or one after some that are missing. */
  #accept(record: FoundRecord): void {
    const missing = record.seq - this.#next
    if (missing > 0) this.#gap(record, missing)
    else if (this.#last !== null || this.#doubt !== null) this.#settle(record.prev, false)
    else if (this.#settled !== null && this.#settled !== record.prev) this.#sayChanged(record)
    this.#settled = null
    this.#last = record
    this.#next = record.seq + 1
    if (record.statement !== undefined) this.#read(record, record.statement)
  }

  /** The last record before a gap has no successor; the last one in it has. */
  #gap(record: FoundRecord, missing: number): void {
    this.#settle(null, false)
    this.#strays.gap(this.#next, record)
    if (missing === 1) this.#push(Buffer.from(record.prev, 'base64'))
    else this.#isTreeKnown = false
  }

  #late(record: FoundRecord): void {
    const last = this.#last
    if (last !== null && record.seq === last.seq) {
      if (record.leaf.equals(last.leaf)) this.#say('repeated', record.seq, null, record.line, `record ${record.seq} stands there twice`)
      else if (this.#rival === null) this.#rival = record
      else this.#sayInserted(record)
    } else if (!this.#strays.late(record)) this.#sayInserted(record)
  }

  /**
   * Settles the last record by what is said of its hash.
   *
   * @param witness base64; null where there is none
   * @param isSure it is signed, so that a difference is the record's
   */
  #settle(witness: string | null, isSure: boolean): void {
    const last = this.#last === null ? null : this.#chosen(this.#last, witness)
    this.#last = null
    if (last === null) return
    const leaf = last.leaf.toString('base64')
    const holds = witness === null || witness === leaf
    const doubt = this.#doubt
    this.#doubt = null
    if (doubt === null && !holds && !isSure) {
      this.#doubt = { record: last, witness }
      return
    }
    if (doubt !== null) this.#decide(doubt, last, witness === null ? null : holds)
    if (!holds) this.#sayChanged(last)
    this.#push(holds ? last.leaf : Buffer.from(witness ?? '', 'base64'))
    this.#settled = witness ?? leaf
  }

  /** @param holds whether the record after the doubtful one is as it was written; null where nobody says */
  #decide({ record, witness }: Doubt, after: FoundRecord, holds: boolean | null): void {
    if (holds === false) this.#push(record.leaf)
    else this.#push(Buffer.from(witness, 'base64'))
    if (holds === true) this.#sayChanged(record)
    if (holds === null) {
      const message = `record ${record.seq} or ${after.seq} is not the one that was written; there is nothing after them that tells which`
      this.#say('rewritten', record.seq, after.seq, record.line, message)
      this.#isTreeKnown = false
    }
  }

  /** Of two lines with one number, the one that the next record knows; without a next one, the first. */
  #chosen(last: FoundRecord, witness: string | null): FoundRecord {
    const rival = this.#rival
    this.#rival = null
    if (rival === null) return last
    const isRival = witness !== null && rival.leaf.toString('base64') === witness
    this.#sayInserted(isRival ? last : rival)
    const doubt = this.#doubt
    if (isRival && doubt !== null && doubt.record.leaf.toString('base64') === rival.prev) {
      // It was the inserted one that said otherwise.
      this.#push(doubt.record.leaf)
      this.#doubt = null
    }
    return isRival ? rival : last
  }

  #push(leaf: Buffer): void {
    if (!this.#isTreeKnown) return
    this.#tree.push(leaf)
    while (this.#waiting[0] !== undefined && this.#waiting[0].size <= this.#tree.size) {
      const checkpoint = this.#waiting.shift()
      if (checkpoint?.size === this.#tree.size) this.#compare(checkpoint, null)
    }
  }

  /** Holds a good checkpoint against the records before it. */
  #compare(checkpoint: SignedCheckpoint, line: number | null): void {
    const { size, root } = checkpoint
    if (!this.#isTreeKnown || this.#tree.size !== size) return
    if (root.equals(this.#tree.root())) {
      this.#signed = size
      return
    }
    const message = `the signed checkpoint over ${size} records is of others: one of the records ${this.#signed} to ${size - 1} was changed, and those after it made to fit`
    this.#say(this.#signed === size ? 'forked' : 'rewritten', this.#signed, size - 1, line, message)
    this.#isTreeKnown = false
  }

  #read(record: FoundRecord, statement: Statement): void {
    const { publicKey } = statement
    if (statement.kind === 'opened') {
      if (statement.writer !== undefined) this.writer ||= statement.writer
      if (this.#keys.size === 0 && record.seq === 0) this.#keys.add(publicKey)
      else if (!this.#keys.has(publicKey))
        this.#say('unsigned', record.seq, null, record.line, `record ${record.seq} names a key that no known one vouches for`)
      return
    }
    const message = keyStatement(this.writer, publicKey)
    const signature = Buffer.from(statement.signature ?? '', 'base64')
    if ([...this.#keys].some((key) => isSignedBy(key, message, signature))) this.#keys.add(publicKey)
    else this.#say('unsigned', record.seq, null, record.line, `record ${record.seq} brings a key that no known one vouches for`)
  }

  #sayChanged({ seq, line }: FoundRecord): void {
    this.#say('changed', seq, null, line, `record ${seq} is not the one that was written`)
  }

  #sayInserted({ seq, line }: FoundRecord): void {
    this.#say('inserted', seq, null, line, `a second record says that it is number ${seq}`)
  }

  #say(kind: ProblemKind, seq: number | null, until: number | null, line: number | null, message: string): void {
    this.#problems.add({ kind, log: this.log, seq, until, line, message })
  }
}
