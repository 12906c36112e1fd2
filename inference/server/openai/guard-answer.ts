import { isObject, objectsIn } from '../../json-object.ts'
import { mapJson } from '../../redaction/map-json.ts'
import type { GuardedTexts } from '../../redaction/text-guard.ts'
import { type AnswerObject } from './answer-object.ts'

/** Members of a message that are no text of the model's. */
export const noText: ReadonlySet<string> = new Set([
  'role',
  'id',
  'type',
  'name',
  'data',
  'format',
  'finish_reason',
  'stop_reason',
  'matched_stop',
  'tool_call_id',
])
/** What tells the text once more, token by token. */
export const telling = ['logprobs', 'prompt_logprobs', 'completion_probabilities'] as const

/** A whole answer as the client may read it; the same object where nothing applies. Log probabilities go where text changed. */
export function guardAnswer(answer: AnswerObject, texts: GuardedTexts): AnswerObject {
  const choices = objectsIn(answer['choices'])
  const guarded = choices.map((choice) => guardChoice(choice, texts))
  return guarded.some((choice, i) => choice !== choices[i]) ? { ...answer, choices: guarded } : answer
}

function guardChoice(choice: AnswerObject, texts: GuardedTexts): AnswerObject {
  const guarded = guardMembers(choice, texts)
  return guarded === choice ? choice : withoutTokens(guarded)
}

/** The choice without what tells its text by tokens. */
export function withoutTokens(choice: AnswerObject): AnswerObject {
  const silent: Record<string, unknown> = { ...choice }
  for (const name of telling) if (silent[name] !== undefined) silent[name] = null
  return silent
}

function guardMembers(object: AnswerObject, texts: GuardedTexts): AnswerObject {
  let changed: Record<string, unknown> | undefined
  for (const [name, value] of Object.entries(object)) {
    if (noText.has(name) || telling.some((one) => one === name)) continue
    const guarded = guardValue(name, value, texts)
    if (guarded !== value) changed = { ...(changed ?? object), [name]: guarded }
  }
  return changed ?? object
}

/** Any value, rewritten where it has texts. */
export function guardValue(name: string, value: unknown, texts: GuardedTexts): unknown {
  if (typeof value === 'string') return name === 'arguments' ? guardArguments(value, texts) : texts.output(value)
  if (isObject(value)) return guardMembers(value, texts)
  if (!Array.isArray(value)) return value
  const guarded = value.map((one) => guardValue(name, one, texts))
  return guarded.some((one, i) => one !== value[i]) ? guarded : value
}

/** A call's arguments stay JSON, whatever stands in for what was found. */
export function guardArguments(text: string, texts: GuardedTexts): string {
  return mapJson(text, (value) => texts.output(value))
}
