import type { Entry, Update, Weighed } from './choice.ts'
import { type Answer, type Format, finite, type Heading, textOf, type Usage } from './format.ts'

export interface ChatOptions {
  readonly heading: Heading
  readonly logprobs: boolean
  readonly includeUsage: boolean
  /** Whether the answer calls a function. */
  readonly calls: boolean
  readonly choices: number
  readonly newId: () => string
}

/** Objects `chat.completion` and `chat.completion.chunk`. */
export class ChatFormat implements Format {
  readonly #options: ChatOptions
  /** Answers whose function was named. */
  readonly #named = new Set<number>()

  constructor(options: ChatOptions) {
    this.#options = options
  }

  whole(answers: readonly Answer[], usage: Usage): object {
    const choices = answers.map(({ index, call, entries, finish }) => ({
      index,
      message: { role: 'assistant', ...this.#message(call, textOf(entries)), refusal: null, annotations: [] },
      logprobs: this.#logprobs(entries),
      finish_reason: finish,
    }))
    return { ...this.#heading('chat.completion'), choices, usage }
  }

  opening(): readonly object[] {
    // A call is opened with its name, once there is one.
    if (this.#options.calls) return []
    const indices = Array.from({ length: this.#options.choices }, (_, index) => index)
    return indices.map((index) => this.#chunk(index, { role: 'assistant', content: '', refusal: null }))
  }

  chunks(update: Update): readonly object[] {
    const { index, call, entries, finish } = update
    const chunks: object[] = []
    if (call !== null && !this.#named.has(index)) {
      this.#named.add(index)
      chunks.push(this.#chunk(index, { role: 'assistant', content: null, tool_calls: [{ index: 0, ...this.#call(call, '') }] }))
    }
    if (entries.length > 0) {
      const text = textOf(entries)
      const delta = call === null ? { content: text } : { tool_calls: [{ index: 0, function: { arguments: text } }] }
      chunks.push(this.#chunk(index, delta, entries))
    }
    if (finish !== null) chunks.push(this.#chunk(index, {}, [], finish))
    return chunks
  }

  usageChunk(usage: Usage): object {
    return { ...this.#heading('chat.completion.chunk'), choices: [], usage }
  }

  #heading(object: string): object {
    const { id, ...rest } = this.#options.heading
    return { id, object, ...rest }
  }

  #chunk(index: number, delta: object, entries: readonly Entry[] = [], finish: string | null = null): object {
    const logprobs = entries.length > 0 ? this.#logprobs(entries) : null
    return {
      ...this.#heading('chat.completion.chunk'),
      choices: [{ index, delta, logprobs, finish_reason: finish }],
      ...(this.#options.includeUsage ? { usage: null } : {}),
    }
  }

  #message(call: string | null, text: string): object {
    return call === null ? { content: text } : { content: null, tool_calls: [this.#call(call, text)] }
  }

  #call(name: string, text: string): object {
    return { id: `call_${this.#options.newId()}`, type: 'function', function: { name, arguments: text } }
  }

  /** Log probabilities are of content; a call has none. */
  #logprobs(entries: readonly Entry[]): object | null {
    if (!this.#options.logprobs || this.#options.calls) return null
    return { content: entries.map((entry) => ({ ...weighed(entry), top_logprobs: entry.top.map(weighed) })), refusal: null }
  }
}

function weighed({ text, log }: Weighed): object {
  return { token: text, logprob: finite(log), bytes: [...Buffer.from(text)] }
}
