import type { Entry, FinishReason, Update, Weighed } from './choice.ts'

export interface Usage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
  readonly total_tokens: number
}

/** What every object of an answer begins with. */
export interface Heading {
  readonly id: string
  /** Seconds since the epoch. */
  readonly created: number
  readonly model: string
  /** Of the weights, so that a seed means the same. */
  readonly system_fingerprint: string
}

/** A whole answer. */
export interface Answer {
  readonly index: number
  readonly call: string | null
  readonly entries: readonly Entry[]
  readonly finish: FinishReason | null
}

/** How answers are written: as JSON whole, or as the chunks of a stream. */
export interface Format {
  whole(answers: readonly Answer[], usage: Usage): object
  /** Before any update. */
  opening(): readonly object[]
  chunks(update: Update): readonly object[]
  /** At the end of a stream whose client asked for it. */
  usageChunk(usage: Usage): object
}

export function textOf(entries: readonly Weighed[]): string {
  return entries.map(({ text }) => text).join('')
}

/** JSON has no infinity; the OpenAI API writes what is next to impossible so. */
export function finite(log: number): number {
  return Math.max(-9_999, log)
}
