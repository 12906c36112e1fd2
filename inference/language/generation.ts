import type { Choice, Update } from './choice.ts'
import type { Answer, Format, Usage } from './format.ts'
import type { Predictor } from './predictor.ts'
import { rounds } from './rounds.ts'

export interface GenerationOptions {
  readonly choices: readonly Choice[]
  readonly predictor: Predictor
  readonly promptTokens: number
  readonly format: Format
  readonly includeUsage: boolean
}

/** All answers to one request, as one JSON or as server-sent events. One of both, and once. */
export class Generation {
  readonly #options: GenerationOptions

  constructor(options: GenerationOptions) {
    this.#options = options
  }

  async whole(): Promise<object> {
    const { choices, predictor, format } = this.#options
    const answers = choices.map((_, index): { -readonly [K in keyof Answer]: Answer[K] } & { entries: Answer['entries'][number][] } => ({
      index,
      call: null,
      entries: [],
      finish: null,
    }))
    for await (const updates of rounds(choices, predictor)) {
      for (const { index, call, entries, finish } of updates) {
        const answer = answers[index]
        if (answer === undefined) continue
        answer.call = call
        answer.finish = finish
        answer.entries.push(...entries)
      }
    }
    return format.whole(answers, this.#usage())
  }

  /**
   * Resolves once the first round is done, so that what fails at once fails here.
   * @param onEnd called when the stream is at its end, fails, or is returned
   */
  async stream(onEnd: () => void): Promise<AsyncIterable<Uint8Array>> {
    const { choices, predictor } = this.#options
    const updates = rounds(choices, predictor)
    try {
      const first = await updates.next()
      return endingWith(this.#events(first, updates), onEnd)
    } catch (error) {
      onEnd()
      throw error
    }
  }

  async *#events(
    first: IteratorResult<readonly Update[], void>,
    rest: AsyncGenerator<readonly Update[], void>,
  ): AsyncGenerator<Uint8Array, void> {
    const { format, includeUsage } = this.#options
    let opening = format.opening()
    for (let round = first; !round.done; round = await rest.next()) {
      yield events([...opening, ...round.value.flatMap((update) => format.chunks(update))])
      opening = []
    }
    if (includeUsage) yield events([format.usageChunk(this.#usage())])
    yield Buffer.from('data: [DONE]\n\n')
  }

  #usage(): Usage {
    const { choices, promptTokens } = this.#options
    const completionTokens = choices.reduce((sum, { tokens }) => sum + tokens, 0)
    return { prompt_tokens: promptTokens, completion_tokens: completionTokens, total_tokens: promptTokens + completionTokens }
  }
}

function events(objects: readonly object[]): Uint8Array {
  return Buffer.from(objects.map((object) => `data: ${JSON.stringify(object)}\n\n`).join(''))
}

/** A generator that was never begun does not run its `finally` when it is returned; this does. */
function endingWith(source: AsyncGenerator<Uint8Array, void>, onEnd: () => void): AsyncIterable<Uint8Array> {
  const iterator: AsyncIterator<Uint8Array, void> = {
    next: async () => {
      try {
        const result = await source.next()
        if (result.done) onEnd()
        return result
      } catch (error) {
        onEnd()
        throw error
      }
    },
    return: async () => {
      onEnd()
      return source.return()
    },
  }
  return { [Symbol.asyncIterator]: () => iterator }
}
