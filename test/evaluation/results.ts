/** A table of the evaluation: what stands in it is text or numbers, and is escaped where it is shown. */
export interface Table {
  readonly title: string
  /** What was run, on what, how often. */
  readonly note: string
  readonly columns: readonly string[]
  readonly rows: readonly Row[]
}

export interface Row {
  readonly cells: readonly Cell[]
  /** What of the goals this row is measured by. */
  readonly checks: readonly Check[]
}

export type Cell = string | number | null

export interface Check {
  readonly goal: string
  readonly met: boolean
}

/** Lines over one horizontal axis. */
export interface Curve {
  readonly title: string
  readonly across: string
  readonly up: string
  readonly lines: readonly Line[]
}

export interface Line {
  readonly name: string
  readonly dashed: boolean
  readonly points: readonly (readonly [number, number])[]
}

/** What a suite came to; `raw` is for whoever reads the JSON. */
export interface SuiteResult {
  readonly suite: string
  readonly tables: readonly Table[]
  readonly curves: readonly Curve[]
  readonly raw: unknown
}
