import type { Instant, Share, Spending, SpendingLine } from '../schemas/index.ts'
import type { LimitRule } from './rules.ts'
import { starterOf } from './starter.ts'

export interface LedgerOptions {
  readonly rules: readonly LimitRule[]
  /** Nodes that are expected at work at once. */
  readonly nodes: number
  /** Most buckets at once; of more nothing is granted. Default 500,000. */
  readonly maxBuckets?: number
}

type Line = { -readonly [K in keyof Share['lines'][number]]: Share['lines'][number][K] }

interface Entry extends Omit<Share, 'lines' | 'left' | 'gone' | 'ceiling'> {
  gone: number
  /** Lines that began with a starter, gone ones included. */
  began: number
  readonly lines: Map<string, Line>
}

/** Lines of one bucket; beyond it the longest silent one counts as gone, with all that it was granted. */
const maxLines = 64
/** No node holds more unspent than an even part of the ceiling divided by this, unless one call needs it: so much is lost with a node that dies. */
const largestPart = 16
/** How the name of a line ends that began with a starter. */
const starting = '#0'
/** Clocks of two nodes are apart by less; a window is kept so much longer, and begins so much earlier. */
const skewMs = 60_000
/** A node that asked this long ago is not counted among those who share. */
const activeMs = 30_000

/**
 * Who was granted how much of each bucket. What was granted counts as spent until the node that has it says that it
 * will not spend it (`released`): so a node that dies, or whose word is lost, costs its share, and never an overspend.
 * Pure, and indifferent to repeated and reordered reports: every number that counts only grows.
 */
export class Ledger {
  readonly #rules: ReadonlyMap<string, LimitRule>
  readonly #nodes: number
  readonly #maxBuckets: number
  readonly #entries = new Map<string, Entry>()

  constructor({ rules, nodes, maxBuckets = 500_000 }: LedgerOptions) {
    this.#rules = new Map(rules.map((rule) => [rule.name, rule]))
    this.#nodes = nodes
    this.#maxBuckets = maxBuckets
  }

  get size(): number {
    return this.#entries.size
  }

  /** Takes in what is on the log, whoever wrote it. */
  learn(share: Share): void {
    const entry = this.#entryOf(share)
    if (entry === undefined) return
    entry.gone = Math.max(entry.gone, share.gone)
    for (const line of share.lines) this.#merge(entry, line)
  }

  /** The window is over, as whoever is in charge said. */
  forget(bucket: string): void {
    this.#entries.delete(bucket)
  }

  /** Takes in a node's word and grants what it asks for. @returns buckets that changed, to be written */
  take({ node, at, lines }: Spending, now: Instant): readonly string[] {
    const changed: string[] = []
    for (const said of lines) {
      // A window that is over is nobody's to spend; one of the far future is a clock that is wrong.
      if (said.end + skewMs <= now || said.start - skewMs > now) continue
      const entry = this.#entryOf(said)
      if (entry !== undefined && this.#hear(entry, said, node, at, now)) changed.push(said.bucket)
    }
    return changed
  }

  /** As it is to be written. */
  share(bucket: string): Share | undefined {
    const entry = this.#entries.get(bucket)
    if (entry === undefined) return undefined
    const { rule, subject, start, end, gone } = entry
    const ceiling = this.#rules.get(rule)?.amount ?? committed(entry)
    const lines = [...entry.lines.values()].map((line) => ({ ...line }))
    return { bucket, rule, subject, start, end, ceiling, left: this.#left(entry, ceiling, 0), gone, lines }
  }

  /** Buckets whose window is over for every clock; forgotten, and to be deleted from the log. */
  expire(now: Instant): readonly string[] {
    const over = [...this.#entries.values()].flatMap(({ bucket, end }) => (end + skewMs <= now ? [bucket] : []))
    for (const bucket of over) this.#entries.delete(bucket)
    return over
  }

  #entryOf({ bucket, rule, subject, start, end }: Pick<Share, 'bucket' | 'rule' | 'subject' | 'start' | 'end'>): Entry | undefined {
    const known = this.#entries.get(bucket)
    // One that is forgotten to make room would begin anew with its whole amount.
    if (known !== undefined || this.#entries.size >= this.#maxBuckets) return known
    const entry: Entry = { bucket, rule, subject, start, end, gone: 0, began: 0, lines: new Map() }
    this.#entries.set(bucket, entry)
    return entry
  }

  #hear(entry: Entry, said: SpendingLine, node: string, at: Instant, now: Instant): boolean {
    const before = entry.lines.get(said.line)
    const was = before === undefined ? undefined : { ...before }
    const line = this.#merge(entry, { line: said.line, node, granted: said.granted, released: said.released, spent: said.spent, at })
    if (said.wants > 0) line.granted = Math.max(line.granted, said.granted + this.#grant(entry, line, said, now))
    if (was === undefined || said.needs > 0 || said.granted < line.granted) return true
    return line.granted > was.granted || line.released > was.released || line.spent !== was.spent
  }

  /**
   * How much beyond what it knows of. As little is left, shares shrink, down to what one call needs: so the last of a
   * window is not stranded where nobody asks for it.
   */
  #grant(entry: Entry, line: Line, said: SpendingLine, now: Instant): number {
    const rule = this.#rules.get(entry.rule)
    if (rule === undefined) return 0
    const { amount, measure } = rule
    // What it was granted already, and does not know of yet, is part of what it asks for now.
    const pending = Math.max(0, line.granted - said.granted)
    const left = this.#left(entry, Math.min(amount, said.ceiling), pending)
    let sharing = 0
    for (const other of entry.lines.values()) if (now - other.at < activeMs) sharing++
    sharing = Math.max(1, sharing)
    const held = said.granted - said.released - said.spent
    const dear = Math.max(0, amount / (largestPart * sharing) - held)
    const fair = Math.max(said.needs, Math.min(left / (2 * sharing), dear))
    const wanted = Math.min(said.wants, fair)
    // Part of a request serves nobody.
    const grant = measure === 'cost' ? wanted : Math.ceil(wanted)
    if (grant <= left) return grant
    return said.needs <= left ? said.needs : 0
  }

  #left(entry: Entry, ceiling: number, pending: number): number {
    const starters = Math.max(0, this.#nodes - entry.began) * starterOf(this.#rules.get(entry.rule), this.#nodes)
    return Math.max(0, ceiling - committed(entry) + pending - starters)
  }

  #merge(entry: Entry, said: Line): Line {
    const line = entry.lines.get(said.line)
    if (line === undefined) {
      if (entry.lines.size >= maxLines) this.#drop(entry)
      const begun = { ...said }
      entry.lines.set(said.line, begun)
      if (said.line.endsWith(starting)) entry.began++
      return begun
    }
    if (said.at >= line.at) line.spent = said.spent
    line.granted = Math.max(line.granted, said.granted)
    line.released = Math.max(line.released, said.released)
    line.at = Math.max(line.at, said.at)
    return line
  }

  /** The longest silent line counts with all that it has; should its node live, what it is granted further counts anew. */
  #drop(entry: Entry): void {
    let oldest: Line | undefined
    for (const line of entry.lines.values()) if (oldest === undefined || line.at < oldest.at) oldest = line
    if (oldest === undefined) return
    entry.gone += oldest.granted - oldest.released
    entry.lines.delete(oldest.line)
  }
}

/** What cannot be granted to others. */
function committed({ lines, gone }: Entry): number {
  let sum = gone
  for (const { granted, released } of lines.values()) sum += granted - released
  return sum
}
