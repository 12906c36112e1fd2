import { isObject, objectsIn } from '../../json-object.ts'
import { type AnswerObject, choicesOf, countOf, messageOf, saidIn } from './answer-object.ts'
import type { AnswerReader } from './answer-reader.ts'
import { eventsIn, valueOf } from './events.ts'

const maxChoices = 128
const maxCalls = 1_024
const maxTokens = 1_000_000_000
/** A token of English, roughly. */
const bytesPerToken = 4

/** What the node learns from an answer as it passes. */
export interface Tally {
  readonly tokensIn: number
  readonly tokensOut: number
  readonly tokenCount: 'reported' | 'estimated'
  /** By choice. */
  readonly finishReasons: readonly string[]
  readonly toolCalls: number
  /** When the first token passed, on the caller's clock; null before. */
  readonly firstAt: number | null
}

/**
 * Learns from the bytes of an answer without holding them up. Most events of a stream say one more word: these are
 * recognised by what their text does not have in it, and never parsed. Text that mentions the markers only costs a
 * parse: what counts is then read from the object.
 */
export class AnswerTap {
  readonly #reasons: string[] = []
  readonly #calls = new Set<number>()
  readonly #tokensIn: number
  readonly #reader: AnswerReader | undefined
  #pieces = 0
  #usage: { tokensIn: number; tokensOut: number } | undefined
  #firstAt: number | null = null
  /** The model's own error, told inside the stream. */
  failed = false
  /** `[DONE]` passed. */
  done = false

  /**
   * @param inputBytes of the request, for an estimate where nobody says more
   * @param reader of what is said; undefined where nobody looks at that
   */
  constructor(inputBytes: number, reader?: AnswerReader) {
    this.#tokensIn = Math.ceil(inputBytes / bytesPerToken)
    this.#reader = reader
  }

  get tally(): Tally {
    const { tokensIn, tokensOut } = this.#usage ?? { tokensIn: this.#tokensIn, tokensOut: this.#pieces }
    return {
      ...{ tokensIn, tokensOut, tokenCount: this.#usage === undefined ? 'estimated' : 'reported' },
      // A choice of which nothing is known yet leaves a hole.
      ...{ finishReasons: this.#reasons.filter((reason) => reason !== undefined), toolCalls: this.#calls.size, firstAt: this.#firstAt },
    }
  }

  /** @param bytes whole events */
  events(bytes: Buffer, at: number): void {
    for (const event of eventsIn(bytes.toString('latin1'))) this.#event(event, at)
  }

  /** A whole answer, not a stream. */
  answer(answer: AnswerObject): void {
    this.#learn(answer)
    let said = 0
    for (const choice of choicesOf(answer)) said += Buffer.byteLength(saidIn(messageOf(choice)))
    this.#pieces = Math.ceil(said / bytesPerToken)
  }

  /** An answer whose usage alone is known. */
  usage(usage: unknown): void {
    if (!isObject(usage)) return
    const tokensIn = countOf(usage['prompt_tokens']) ?? 0
    const tokensOut = countOf(usage['completion_tokens']) ?? 0
    if (tokensIn <= maxTokens && tokensOut <= maxTokens) this.#usage = { tokensIn, tokensOut }
  }

  #event(event: string, at: number): void {
    if (this.#firstAt !== null && !telling.test(event)) {
      // Neither a comment nor an empty event.
      if (!event.includes('data:')) return
      this.#pieces++
      if (this.#reader !== undefined && !this.#reader.readWord(event)) this.#read(valueOf(event, 'latin1'))
      return
    }
    const value = valueOf(event, 'latin1')
    if (value === '[DONE]') this.done = true
    else if (isObject(value)) this.#learnEvent(value, at)
  }

  #read(value: unknown): void {
    if (isObject(value)) this.#reader?.read(value)
  }

  #learnEvent(value: AnswerObject, at: number): void {
    this.#learn(value)
    if (isObject(value['error']) || typeof value['error'] === 'string') this.failed = true
    for (const choice of choicesOf(value)) {
      const message = messageOf(choice)
      if (saidIn(message) === '' && !objectsIn(message['tool_calls']).some(isNews)) continue
      this.#pieces++
      this.#firstAt ??= at
    }
  }

  #learn(value: AnswerObject): void {
    this.usage(value['usage'])
    this.#reader?.read(value)
    for (const choice of choicesOf(value)) {
      const index = countOf(choice['index']) ?? 0
      if (index >= maxChoices) continue
      const reason = choice['finish_reason']
      if (typeof reason === 'string') this.#reasons[index] = reason.slice(0, 32)
      this.#learnCalls(messageOf(choice), index)
    }
  }

  #learnCalls(message: AnswerObject, choice: number): void {
    objectsIn(message['tool_calls']).forEach((call, position) => {
      const index = countOf(call['index']) ?? position
      if (index < maxCalls && this.#calls.size < maxCalls) this.#calls.add(choice * maxCalls + index)
    })
    if (isObject(message['function_call'])) this.#calls.add(choice * maxCalls)
  }
}

function isNews(call: AnswerObject): boolean {
  return isObject(call['function']) || isObject(call['custom'])
}

/**
 * What an event has that says more than one more word: one of these members, and not null. One expression, because it
 * looks through the text once: five times as quick as to look for each, and as to parse. Keys with escapes in them are
 * not looked for: nobody writes them.
 */
const telling = /"(?:usage|finish_reason|tool_calls|function_call|error)"[ \t]*:[ \t]*(?!null|[ \t])|\[DONE\]/
