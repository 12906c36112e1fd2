import type { Constraint, Option } from './options.ts'
import { draw, logProbabilities, type Sampling } from './sampling.ts'
import type { Stops } from './stops.ts'
import { characterOf, vocabularySize } from './vocabulary.ts'

export type FinishReason = 'stop' | 'length' | 'tool_calls'

/** A character with its log probability, natural. */
export interface Weighed {
  readonly text: string
  readonly log: number
}

/** A token of an answer, with the most probable ones in its place. */
export interface Entry extends Weighed {
  readonly top: readonly Weighed[]
}

/** What a step added to an answer. */
export interface Update {
  readonly index: number
  /** The function that is called, once that is decided. */
  readonly call: string | null
  readonly entries: readonly Entry[]
  readonly finish: FinishReason | null
}

export interface ChoiceOptions {
  readonly index: number
  /** The end of the prompt, at most as many tokens as the window has. */
  readonly prompt: Int32Array
  /** Tokens that the model sees. */
  readonly window: number
  readonly constraint: Constraint
  /** For an answer that calls a function: `constraint` writes its name, and this what follows. */
  readonly argumentsOf: ((name: string) => Constraint) | null
  readonly sampling: Sampling
  readonly stops: Stops
  readonly maxTokens: number
  /** Alternatives that each entry names. */
  readonly top: number
  /** Uniform in [0, 1). */
  readonly random: () => number
}

/** One answer on its way: what the model sees next, and what comes of its logits. */
export class Choice {
  /** Tokens sampled or written, those that end an answer and are not shown included. */
  tokens = 0
  finish: FinishReason | null = null
  readonly #given: ChoiceOptions
  readonly #context: Int32Array
  readonly #counts = new Uint32Array(vocabularySize)
  #constraint: Constraint
  #options: readonly Option[] = []
  #name: string | null
  #call: string | null = null
  #pending: Entry[] = []
  #ready: Entry[] = []

  constructor(given: ChoiceOptions) {
    this.#given = given
    this.#context = new Int32Array(given.window)
    this.#context.set(given.prompt.subarray(-given.window), Math.max(0, given.window - given.prompt.length))
    this.#constraint = given.constraint
    this.#name = given.argumentsOf === null ? null : ''
    this.#advance(this.#constraint.next())
  }

  /** `[window]`: the last of the text, 0 before it. */
  get context(): Int32Array {
    return this.#context
  }

  /** Writes what needs no model. */
  begin(): Update {
    this.#writeForced()
    return this.#update()
  }

  /** @param logits `[vocabulary]`, for the context */
  step(logits: Float32Array): Update {
    const { sampling, random } = this.#given
    const logs = logProbabilities(
      logits,
      this.#options.map(({ token }) => token),
      this.#counts,
      sampling,
    )
    const drawn = draw(logs, sampling, random())
    const option = this.#options[drawn]
    if (option === undefined) throw new Error('There is nothing to choose from')
    this.#counts[option.token] = (this.#counts[option.token] ?? 0) + 1
    this.#take(option, logs[drawn] ?? 0, mostProbable(this.#options, logs, this.#given.top))
    this.#writeForced()
    return this.#update()
  }

  #writeForced(): void {
    for (let [only, other] = this.#options; only && !other && this.finish === null; [only, other] = this.#options) {
      this.#take(only, 0, this.#given.top > 0 ? [{ text: only.text, log: 0 }] : [])
    }
  }

  #take(option: Option, log: number, top: readonly Weighed[]): void {
    if (option.text !== '' || this.#options.length > 1) this.tokens++
    if (option.seen !== null) {
      this.#context.copyWithin(0, 1)
      this.#context[this.#context.length - 1] = option.seen
    }
    if (option.text !== '') this.#write({ text: option.text, log, top })
    if (this.finish !== null) return
    this.#advance(this.#constraint.next(option))
    if (this.finish === null && this.tokens >= this.#given.maxTokens) this.#end('length')
  }

  #advance(result: IteratorResult<readonly Option[], void>): void {
    if (!result.done) this.#options = result.value
    else if (this.#name === null || this.#given.argumentsOf === null) this.#end(this.#call === null ? 'stop' : 'tool_calls')
    else {
      this.#call = this.#name
      this.#constraint = this.#given.argumentsOf(this.#name)
      this.#name = null
      this.#advance(this.#constraint.next())
    }
  }

  #write(entry: Entry): void {
    if (this.#name !== null) {
      this.#name += entry.text
      return
    }
    this.#pending.push(entry)
    const { held, ended } = this.#given.stops.push(entry.text)
    this.#ready.push(...this.#pending.splice(0, this.#pending.length - held))
    if (!ended) return
    this.#pending = []
    this.#end('stop')
  }

  #end(reason: FinishReason): void {
    this.finish = reason
    this.#options = []
    this.#ready.push(...this.#pending.splice(0))
  }

  #update(): Update {
    const entries = this.#ready
    this.#ready = []
    return { index: this.#given.index, call: this.#call, entries, finish: this.finish }
  }
}

function mostProbable(options: readonly Option[], logs: Float64Array, count: number): readonly Weighed[] {
  if (count === 0) return []
  const ranked = Array.from(logs.keys()).sort((a, b) => (logs[b] ?? 0) - (logs[a] ?? 0) || a - b)
  return ranked.slice(0, count).flatMap((i) => {
    const option = options[i]
    return option === undefined ? [] : [{ text: option.text === '' ? characterOf(option.token) : option.text, log: logs[i] ?? 0 }]
  })
}
