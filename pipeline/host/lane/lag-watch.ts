import type { Instant } from '../../../schemas/index.ts'
import type { Unseen } from './unseen.ts'

/** A gap that goes on is stated again after so long, milliseconds. */
const restateMs = 10_000
/** Gaps that wait to be stated; with more, the oldest two become one. */
const mostGaps = 64

interface Run {
  gap: Unseen & { readonly worstMs: number }
  /** The last offset that was stated, and when. */
  statedTo: number
  statedAt: Instant
}

/** Which records were applied later than the objective, in runs of consecutive ones. */
export class LagWatch {
  readonly #objectiveMs: number
  #runs: Run[] = []
  /** The last run goes on with the next late record. */
  #open = false

  constructor(objectiveMs: number) {
    this.#objectiveMs = objectiveMs
  }

  /** @param appendedAt by the log's clock */
  note(offset: number, appendedAt: Instant, now: Instant): void {
    const lateMs = now - appendedAt
    if (lateMs <= this.#objectiveMs) {
      this.#open = false
      return
    }
    const here = { kind: 'lagged', firstOffset: offset, lastOffset: offset, from: appendedAt, until: appendedAt, worstMs: lateMs } as const
    const run = this.#runs.at(-1)
    if (this.#open && run !== undefined) {
      run.gap = joined(run.gap, here)
      return
    }
    this.#open = true
    this.#runs.push({ gap: here, statedTo: offset - 1, statedAt: now })
    if (this.#runs.length > mostGaps) this.#joinOldest()
  }

  /** What is to be stated by now; with `all`, gaps that may still grow too. */
  take(now: Instant, all: boolean): Unseen[] {
    const due = this.#runs.filter(
      (run) => run.statedTo < run.gap.lastOffset && (all || !this.#grows(run) || now - run.statedAt >= restateMs),
    )
    for (const run of due) {
      run.statedTo = run.gap.lastOffset
      run.statedAt = now
    }
    this.#runs = this.#runs.filter((run) => run.statedTo < run.gap.lastOffset || this.#grows(run))
    return due.map(({ gap }) => gap)
  }

  /** The first offset whose lateness has not been stated: nothing from there on may be committed. */
  get bound(): number {
    const run = this.#runs.find(({ statedTo, gap }) => statedTo < gap.lastOffset)
    return run === undefined ? Number.POSITIVE_INFINITY : run.statedTo + 1
  }

  /** Records before `offset` were someone else's to state. */
  forget(offset: number): void {
    this.#runs = this.#runs.filter(({ gap }) => gap.lastOffset >= offset)
    if (this.#runs.length === 0) this.#open = false
    for (const run of this.#runs) {
      if (run.gap.firstOffset >= offset) continue
      run.gap = { ...run.gap, firstOffset: offset }
      run.statedTo = Math.max(run.statedTo, offset - 1)
    }
  }

  #grows(run: Run): boolean {
    return this.#open && run === this.#runs.at(-1)
  }

  #joinOldest(): void {
    const [first, second] = this.#runs
    if (first === undefined || second === undefined) return
    this.#runs.splice(0, 2, { ...first, gap: joined(first.gap, second.gap) })
  }
}

function joined(a: Run['gap'], b: Run['gap']): Run['gap'] {
  const until = Math.max(a.until, b.until)
  return { ...a, lastOffset: b.lastOffset, until, worstMs: Math.max(a.worstMs, b.worstMs) }
}
