import { InferenceError } from '../../errors.ts'
import { isObject } from '../../json-object.ts'
import type { GuardedTexts } from '../../redaction/text-guard.ts'
import type { Hardener } from '../harden.ts'
import type { AnswerObject } from './answer-object.ts'
import type { AnswerTap } from './answer-tap.ts'
import { EventSplitter, eventsIn, valueOf, withValue } from './events.ts'
import { GuardEvents } from './guard-events.ts'
import { hardenAnswer } from './harden-answer.ts'
import { unusable } from './invalid.ts'
import { ToolHold } from './tool-hold.ts'
import type { ToolRules } from './tool-rules.ts'

export interface AnswerStreamOptions {
  readonly tap: AnswerTap
  /** Asked whenever events came, so that a lease granted meanwhile counts. Throws where the client may have no more. */
  readonly hardener: () => Hardener | undefined
  /** What tool calls must fit; undefined where they are not looked at. */
  readonly tools: ToolRules | undefined
  /** What texts go through; undefined where they pass as they are. */
  readonly texts?: GuardedTexts | undefined
}

const nothing = Buffer.alloc(0)

/**
 * A streamed answer on its way to the client: bytes in, bytes out, ending where events end. They are the same bytes
 * where nothing is hardened, no tool calls are checked and no texts are guarded. Tool calls are checked as the model made them.
 */
export class AnswerStream {
  readonly #options: AnswerStreamOptions
  readonly #splitter = new EventSplitter()
  readonly #hold: ToolHold | undefined
  readonly #guard: GuardEvents | undefined

  constructor(options: AnswerStreamOptions) {
    this.#options = options
    this.#hold = options.tools === undefined ? undefined : new ToolHold(options.tools)
    this.#guard = options.texts === undefined ? undefined : new GuardEvents(options.texts)
  }

  /** `[DONE]` is among what was passed on: nothing after it is. */
  get done(): boolean {
    return this.#options.tap.done
  }

  /**
   * @param at when it came, on the clock of the tap
   * @returns what may pass now, maybe nothing
   * @throws Refusal, InferenceError where the answer cannot go on
   */
  push(chunk: Uint8Array, at: number): Buffer {
    return this.#pass(this.#splitter.push(chunk), at)
  }

  /**
   * The model's server ended the answer.
   *
   * @throws InferenceError `UPSTREAM_FAILED` where it said neither `[DONE]` nor why any choice ended: it was cut off
   */
  end(at: number): Buffer {
    const { tap } = this.#options
    const rest = this.#pass(this.#splitter.rest(), at)
    const held = this.done ? nothing : Buffer.from(this.#rest())
    if (!tap.done && !tap.failed && tap.tally.finishReasons.length === 0)
      throw new InferenceError('UPSTREAM_FAILED', 'a stream ended before its answer did')
    return held.length === 0 ? rest : Buffer.concat([rest, held])
  }

  #pass(whole: Buffer, at: number): Buffer {
    if (whole.length === 0) return nothing
    const { tap, hardener } = this.#options
    tap.events(whole, at)
    if (hardener() === undefined && this.#hold === undefined && this.#guard === undefined) return whole
    let text = ''
    for (const event of eventsIn(whole.toString())) text += this.#rewrite(event)
    return Buffer.from(text)
  }

  /** An event as it may pass: the same text where nothing applies to it. */
  #rewrite(event: string): string {
    const value = valueOf(event, 'utf8')
    if (value === '[DONE]') return `${this.#rest()}${event}`
    if (isObject(value)) return this.#written(this.#hold?.push(value) ?? [value], value, event)
    // A comment says nothing; data that are no JSON may say anything.
    if (!event.includes('data')) return event
    throw unusable('answer_unreadable', 'The model answered with something that cannot be read.')
  }

  /** What is still held when the stream is at its end. */
  #rest(): string {
    return this.#written(this.#hold?.end() ?? [], undefined, '') + this.#written(this.#guard?.end() ?? [], undefined, '', true)
  }

  #written(values: readonly AnswerObject[], same: AnswerObject | undefined, event: string, guarded = false): string {
    if (values.length === 0) return ''
    const hardening = this.#options.hardener()
    let text = ''
    for (const one of values) {
      const value = guarded ? one : (this.#guard?.push(one) ?? one)
      if (hardening === undefined && value === same) text += event
      else text += withValue(one === same ? event : '', hardening === undefined ? value : hardenAnswer(value, hardening))
    }
    return text
  }
}
