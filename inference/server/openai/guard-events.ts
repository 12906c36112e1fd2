import { isObject, objectsIn } from '../../json-object.ts'
import type { GuardedTexts } from '../../redaction/text-guard.ts'
import type { TextStream } from '../../redaction/text-stream.ts'
import { type AnswerObject, choicesOf, countOf } from './answer-object.ts'
import { guardArguments, guardValue, noText, telling, withoutTokens } from './guard-answer.ts'
import { unusable } from './invalid.ts'

const maxChoices = 128
/** Calls, and names of texts, of one choice. */
const maxHeld = 128
/** Characters of all calls' arguments that are held. */
const maxCharacters = 1_048_576

interface Call {
  readonly field: 'function' | 'custom'
  text: string
}

/** What one choice has said that did not pass yet. */
interface Held {
  /** Where its messages are: `delta`, `message`, or empty for the choice itself. */
  inner: string
  readonly texts: Map<string, TextStream>
  /** By index; the older way to call has -1. */
  readonly calls: Map<number, Call>
  /** The last event that said something, for one more of its kind. */
  envelope: AnswerObject
}

/**
 * The events of a stream as the client may read them. Text goes on as far as nothing can change in it any more; what is held comes
 * with the event that ends its choice, or before the stream's end. A call's arguments are held until then, because nobody can do
 * anything with half of them. An event whose text stays as it was passes as it is; others lose their log probabilities.
 */
export class GuardEvents {
  readonly #texts: GuardedTexts
  readonly #byChoice = new Map<number, Held>()
  #characters = 0

  constructor(texts: GuardedTexts) {
    this.#texts = texts
  }

  /** @throws Refusal `FAILED_UPSTREAM` where there is more than can be held */
  push(event: AnswerObject): AnswerObject {
    const choices = choicesOf(event)
    const guarded = choices.map((choice) => this.#choice(event, choice))
    return guarded.some((choice, i) => choice !== choices[i]) ? { ...event, choices: guarded } : event
  }

  /** What was held of choices that nothing ended. */
  end(): readonly AnswerObject[] {
    return [...this.#byChoice].flatMap(([index, held]) => {
      const rest = this.#rest(index, held, {})
      if (rest === undefined) return []
      const { usage: _, ...envelope } = held.envelope
      const choice = { index, ...(held.inner === '' ? rest : { [held.inner]: rest }), finish_reason: null }
      return [{ ...envelope, choices: [choice] }]
    })
  }

  #choice(event: AnswerObject, choice: AnswerObject): AnswerObject {
    const index = countOf(choice['index']) ?? 0
    const held = this.#heldOf(index, event)
    for (const inner of ['delta', 'message']) if (isObject(choice[inner])) held.inner = inner
    const inner = choice[held.inner]
    const message = held.inner === '' ? choice : isObject(inner) ? inner : {}
    let guarded = this.#members(held, message)
    if (typeof choice['finish_reason'] === 'string') guarded = this.#rest(index, held, guarded) ?? guarded
    if (guarded === message || (guarded !== choice && Object.keys(guarded).length === 0)) return choice
    return withoutTokens(held.inner === '' ? guarded : { ...choice, [held.inner]: guarded })
  }

  #heldOf(index: number, event: AnswerObject): Held {
    const known = this.#byChoice.get(index)
    if (known !== undefined) {
      known.envelope = event
      return known
    }
    if (index >= maxChoices) throw tooMuch()
    const held = { inner: '', texts: new Map<string, TextStream>(), calls: new Map<number, Call>(), envelope: event }
    this.#byChoice.set(index, held)
    return held
  }

  #members(held: Held, message: AnswerObject): AnswerObject {
    let changed: Record<string, unknown> | undefined
    for (const [name, value] of Object.entries(message)) {
      if (noText.has(name) || telling.some((one) => one === name)) continue
      const guarded = this.#member(held, name, value)
      if (guarded !== value) changed = { ...(changed ?? message), [name]: guarded }
    }
    return changed ?? message
  }

  #member(held: Held, name: string, value: unknown): unknown {
    if (typeof value === 'string') return this.#streamOf(held, name).push(value)
    if (name === 'function_call' && isObject(value)) return this.#withoutText(held, -1, 'function', value)
    if (name === 'tool_calls') return objectsIn(value).map((call, position) => this.#call(held, call, position))
    if (name === 'audio' && isObject(value) && typeof value['transcript'] === 'string')
      return { ...value, transcript: this.#streamOf(held, 'audio').push(value['transcript']) }
    return guardValue(name, value, this.#texts)
  }

  #streamOf({ texts }: Held, name: string): TextStream {
    const known = texts.get(name)
    if (known !== undefined) return known
    if (texts.size >= maxHeld) throw tooMuch()
    const stream = this.#texts.stream()
    texts.set(name, stream)
    return stream
  }

  #call(held: Held, call: AnswerObject, position: number): AnswerObject {
    const index = countOf(call['index']) ?? position
    for (const field of ['function', 'custom'] as const) {
      const called = call[field]
      if (isObject(called)) return { ...call, [field]: this.#withoutText(held, index, field, called) }
    }
    return call
  }

  /** Holds the text of a call, and lets the rest pass. */
  #withoutText({ calls }: Held, index: number, field: Call['field'], called: AnswerObject): AnswerObject {
    const name = nameOfText(field)
    const text = called[name]
    if (typeof text !== 'string') return called
    const call = calls.get(index) ?? { field, text: '' }
    this.#characters += text.length
    if (calls.size >= maxHeld || this.#characters > maxCharacters) throw tooMuch()
    call.text += text
    calls.set(index, call)
    return { ...called, [name]: '' }
  }

  /** A choice's last message with all that was held; undefined where nothing was. */
  #rest(index: number, { texts, calls }: Held, message: AnswerObject): AnswerObject | undefined {
    this.#byChoice.delete(index)
    let rest: Record<string, unknown> | undefined
    for (const [name, stream] of texts) {
      const text = stream.end()
      if (text === '') continue
      rest ??= { ...message }
      const audio = rest['audio']
      if (name === 'audio')
        rest['audio'] = isObject(audio) ? { ...audio, transcript: `${textIn(audio['transcript'])}${text}` } : { transcript: text }
      else rest[name] = `${textIn(rest[name])}${text}`
    }
    for (const [number, { field, text }] of calls) {
      if (text === '') continue
      rest ??= { ...message }
      const called = { [nameOfText(field)]: field === 'function' ? guardArguments(text, this.#texts) : this.#texts.output(text) }
      const before = rest['function_call']
      if (number === -1) rest['function_call'] = isObject(before) ? { ...before, ...called } : called
      else rest['tool_calls'] = [...objectsIn(rest['tool_calls']), { index: number, [field]: called }]
    }
    return rest
  }
}

function nameOfText(field: Call['field']): 'arguments' | 'input' {
  return field === 'function' ? 'arguments' : 'input'
}

function textIn(value: unknown): string {
  return typeof value === 'string' ? value : ''
}

function tooMuch() {
  return unusable('answer_too_large', 'The model answered with more than can be looked at.')
}
