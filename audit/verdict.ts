/**
 * What is wrong with a trail, and where.
 *
 * - `changed`: the record is not the one that was written there; `rewritten`: one of the records from `seq` to `until` is not, and
 *   those after it were made to fit.
 * - `dropped`: records from `seq` to `until` are missing. `inserted`: the line does not belong there. `repeated`: it stands there twice.
 * - `moved`: the record is as it was written, and not where it was. `unreadable`: the line is neither record nor checkpoint.
 * - `unsigned`: a checkpoint whose signature does not hold, or whose key nobody vouches for. `forked`: a checkpoint that is signed,
 *   and of other records than these.
 * - `unlinked`: what a log says of the one before it is not so.
 */
export type ProblemKind =
  | 'changed'
  | 'rewritten'
  | 'dropped'
  | 'inserted'
  | 'repeated'
  | 'moved'
  | 'unreadable'
  | 'unsigned'
  | 'forked'
  | 'unlinked'

export interface Problem {
  readonly kind: ProblemKind
  readonly log: string
  /** Number of the record; of a checkpoint, how many records it covers. Null where the line does not say. */
  readonly seq: number | null
  /** Last of a range; else null. */
  readonly until: number | null
  /** Line of the export, from 1 on; null for what is not there. */
  readonly line: number | null
  readonly message: string
}

/** One log, as far as it was found. */
export interface LogSummary {
  readonly writer: string
  readonly log: string
  readonly records: number
  readonly checkpoints: number
  /** Records that a checkpoint with a good signature covers. */
  readonly signed: number
  /** Keys that signed it, base64. */
  readonly keys: readonly string[]
}

export interface Verdict {
  readonly ok: boolean
  readonly records: number
  readonly checkpoints: number
  /** Records after the last good checkpoint of their log: chained, but not signed yet. */
  readonly unsigned: number
  readonly logs: readonly LogSummary[]
  /** Whether the keys were given; else they are those that the logs state, which whoever rewrote a log can have stated. */
  readonly pinned: boolean
  readonly problems: readonly Problem[]
  /** Problems beyond those that are listed. */
  readonly more: number
}

/** Problems that are listed. */
const most = 1_000

/** Problems as they are found, each once. */
export class Problems {
  readonly #seen = new Set<string>()
  readonly list: Problem[] = []
  more = 0

  add(problem: Problem): void {
    const name = `${problem.kind} ${problem.log} ${problem.seq} ${problem.line}`
    if (this.#seen.has(name)) return
    if (this.list.length >= most) {
      this.more++
      return
    }
    this.#seen.add(name)
    this.list.push(problem)
  }
}
