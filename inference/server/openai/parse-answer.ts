import { isObject } from '../../json-object.ts'
import { shapeOf } from '../../json-scan.ts'
import type { AnswerObject } from './answer-object.ts'
import { unusable } from './invalid.ts'

/** Deeper is no answer of the API. */
const maxDepth = 64

/**
 * A whole answer as JSON.
 *
 * @throws Refusal `FAILED_UPSTREAM`
 */
export function parseAnswer(bytes: Buffer): AnswerObject {
  const text = bytes.toString()
  if (shapeOf(text).depth > maxDepth) throw unreadable()
  let answer: unknown
  try {
    answer = JSON.parse(text)
  } catch {
    throw unreadable()
  }
  if (!isObject(answer)) throw unreadable()
  return answer
}

/** Usage is a small object near the end of an answer of many numbers; only embeddings are read like this, which have no text. */
export function usageIn(bytes: Buffer): unknown {
  const at = bytes.lastIndexOf('"usage"')
  if (at === -1) return undefined
  const match = /^"usage"\s*:\s*(\{[^{}]*\})/.exec(bytes.toString('latin1', at, at + 1_024))
  try {
    return match?.[1] === undefined ? undefined : JSON.parse(match[1])
  } catch {
    return undefined
  }
}

function unreadable() {
  return unusable('answer_unreadable', 'The model answered with something that cannot be read.')
}
