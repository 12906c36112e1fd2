import type { Entry, Update } from './choice.ts'
import { type Answer, type Format, finite, type Heading, textOf, type Usage } from './format.ts'

export interface CompletionOptions {
  readonly heading: Heading
  readonly logprobs: boolean
  readonly includeUsage: boolean
  /** By answer, what its text begins with: the prompt where it is echoed. */
  readonly starts: readonly string[]
}

/** Objects `text_completion`, whole and in chunks. */
export class CompletionFormat implements Format {
  readonly #options: CompletionOptions
  /** By answer, characters that were written. */
  readonly #offsets: number[]

  constructor(options: CompletionOptions) {
    this.#options = options
    this.#offsets = options.starts.map(({ length }) => length)
  }

  whole(answers: readonly Answer[], usage: Usage): object {
    const choices = answers.map(({ index, entries, finish }) => {
      const start = this.#options.starts[index] ?? ''
      return { index, text: start + textOf(entries), logprobs: this.#logprobs(entries, start.length), finish_reason: finish }
    })
    return { ...this.#heading(), choices, usage }
  }

  opening(): readonly object[] {
    return this.#options.starts.flatMap((start, index) => (start === '' ? [] : [this.#chunk(index, start, null, null)]))
  }

  chunks({ index, entries, finish }: Update): readonly object[] {
    const chunks: object[] = []
    if (entries.length > 0) {
      const text = textOf(entries)
      const offset = this.#offsets[index] ?? 0
      this.#offsets[index] = offset + text.length
      chunks.push(this.#chunk(index, text, this.#logprobs(entries, offset), null))
    }
    if (finish !== null) chunks.push(this.#chunk(index, '', null, finish))
    return chunks
  }

  usageChunk(usage: Usage): object {
    return { ...this.#heading(), choices: [], usage }
  }

  #heading(): object {
    const { id, ...rest } = this.#options.heading
    return { id, object: 'text_completion', ...rest }
  }

  #chunk(index: number, text: string, logprobs: object | null, finish: string | null): object {
    const usage = this.#options.includeUsage ? { usage: null } : {}
    return { ...this.#heading(), choices: [{ index, text, logprobs, finish_reason: finish }], ...usage }
  }

  #logprobs(entries: readonly Entry[], start: number): object | null {
    if (!this.#options.logprobs) return null
    return {
      tokens: entries.map(({ text }) => text),
      token_logprobs: entries.map(({ log }) => finite(log)),
      // The one that was taken is always named.
      top_logprobs: entries.map(({ text, log, top }) =>
        Object.fromEntries([...top, { text, log }].map((one) => [one.text, finite(one.log)])),
      ),
      text_offset: entries.map((_, i) => start + i),
    }
  }
}
