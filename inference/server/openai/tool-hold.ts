import { isObject, objectsIn } from '../../json-object.ts'
import { type AnswerObject, choicesOf, countOf, messageOf } from './answer-object.ts'
import { checkCall, invalidCall, type ToolRules } from './tool-rules.ts'

const maxChoices = 128
const maxCalls = 128
/** Characters of all calls that are held back. */
const maxHeld = 1_048_576

interface Call {
  name: unknown
  text: string
}

/** Calls of one choice that are not complete yet, and the events that make them. */
interface Held {
  readonly calls: Map<number, Call>
  readonly events: AnswerObject[]
}

/**
 * Holds back what a stream says of tool calls until each call is complete and checked; everything else passes at once.
 * A call is complete when another one begins, or its choice or the stream is at its end.
 */
export class ToolHold {
  readonly #rules: ToolRules
  readonly #byChoice = new Map<number, Held>()
  /** Calls that went out; whoever adds to one of them would change what was checked. */
  readonly #gone = new Set<number>()
  #size = 0

  constructor(rules: ToolRules) {
    this.#rules = rules
  }

  /**
   * @returns what may pass now: the event itself where it has no calls
   * @throws Refusal `FAILED_UPSTREAM` where a call does not fit
   */
  push(event: AnswerObject): readonly AnswerObject[] {
    const choices = choicesOf(event)
    if (!choices.some((choice) => this.#concerns(choice))) return [event]
    const passing: AnswerObject[] = []
    const rest: AnswerObject[] = []
    for (const choice of choices) {
      const message = messageOf(choice)
      if (isObject(message['function_call'])) throw invalidCall()
      const calls = objectsIn(message['tool_calls'])
      const index = countOf(choice['index']) ?? 0
      const ends = typeof choice['finish_reason'] === 'string'
      const more = calls.length === 0 || ends || hasText(message)
      if (calls.length > 0) passing.push(...this.#take(event, choice, more, index, calls))
      if (ends) passing.push(...this.#release(index))
      if (more) rest.push(calls.length === 0 ? choice : withoutCalls(choice, message))
    }
    // Usage and the like, once.
    if (rest.length > 0 || isObject(event['usage'])) passing.push({ ...event, choices: rest })
    return passing
  }

  /** What was still held at the stream's end. */
  end(): readonly AnswerObject[] {
    return [...this.#byChoice.keys()].flatMap((index) => this.#release(index))
  }

  #concerns(choice: AnswerObject): boolean {
    const message = messageOf(choice)
    if (message['tool_calls'] != null || message['function_call'] != null) return true
    return this.#byChoice.size > 0 && typeof choice['finish_reason'] === 'string'
  }

  /** Adds an event's calls to those held; where it says more, that passes, and is not held as well. */
  #take(event: AnswerObject, choice: AnswerObject, more: boolean, index: number, calls: readonly AnswerObject[]): readonly AnswerObject[] {
    if (index >= maxChoices) throw invalidCall()
    const released = calls.some((call) => this.#begins(index, call)) ? this.#release(index) : []
    const held = this.#byChoice.get(index) ?? { calls: new Map<number, Call>(), events: [] }
    this.#byChoice.set(index, held)
    for (const [position, call] of calls.entries()) this.#add(held, index, countOf(call['index']) ?? position, call)
    const { usage: _, ...envelope } = event
    const alone = { index, delta: { tool_calls: calls }, finish_reason: null }
    held.events.push({ ...envelope, choices: [more ? alone : choice] })
    return released
  }

  /** Whether a call is another one than those held: they are complete then. */
  #begins(index: number, call: AnswerObject): boolean {
    const held = this.#byChoice.get(index)
    const number = countOf(call['index'])
    return held !== undefined && number !== undefined && !held.calls.has(number)
  }

  #add(held: Held, choice: number, number: number, { id, function: called }: AnswerObject): void {
    if (!isObject(called) || number >= maxCalls || this.#gone.has(choice * maxCalls + number)) throw invalidCall()
    const call = held.calls.get(number) ?? { name: undefined, text: '' }
    const { name, arguments: text } = called
    // Clients join names too where more than one piece has one.
    if (typeof name === 'string' && name !== '') call.name = call.name === undefined ? name : `${String(call.name)}${name}`.slice(0, 256)
    if (typeof text === 'string') call.text += text
    held.calls.set(number, call)
    this.#size += 64 + (typeof text === 'string' ? text.length : 0) + (typeof id === 'string' ? id.length : 0)
    if (this.#size > maxHeld) throw invalidCall()
  }

  /** Checks the calls of a choice, and lets their events go. */
  #release(index: number): readonly AnswerObject[] {
    const held = this.#byChoice.get(index)
    if (held === undefined) return []
    for (const [number, { name, text }] of held.calls) {
      checkCall(name, text, this.#rules)
      this.#gone.add(index * maxCalls + number)
    }
    this.#byChoice.delete(index)
    return held.events
  }
}

function withoutCalls(choice: AnswerObject, message: AnswerObject): AnswerObject {
  const { tool_calls: _, ...delta } = message
  return { ...choice, delta }
}

function hasText(message: AnswerObject): boolean {
  const { content, reasoning, reasoning_content: thought } = message
  return [content, reasoning, thought].some((text) => typeof text === 'string' && text !== '')
}
