import { isObject, type JsonObject, objectsIn } from '../../json-object.ts'

/** Parts of an answer, or of an event of a stream; all of them from an upstream, and none of them certain. */
export type AnswerObject = JsonObject

export function choicesOf(answer: AnswerObject): readonly AnswerObject[] {
  return objectsIn(answer['choices'])
}

/** A choice's message, or what a stream adds to it; the choice itself in completions. */
export function messageOf(choice: AnswerObject): AnswerObject {
  const message = choice['delta'] ?? choice['message']
  return isObject(message) ? message : choice
}

/** A whole number that counts or numbers something. */
export function countOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** What was said in it, reasoning included; empty where only a role or an end is. */
export function saidIn(message: AnswerObject): string {
  for (const field of ['content', 'text', 'reasoning_content', 'reasoning', 'refusal']) {
    const said = message[field]
    if (typeof said === 'string' && said !== '') return said
  }
  return ''
}
