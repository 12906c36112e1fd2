import { isObject, objectsIn } from '../../json-object.ts'
import { type Hardener, keptOf } from '../harden.ts'
import { withAlternatives } from './alternatives.ts'
import { type AnswerObject } from './answer-object.ts'
import { unusable } from './invalid.ts'

/** Where servers of the API put probabilities: OpenAI, vLLM, llama.cpp, Text Generation Inference. */
const telling = new Set([
  ...['logprobs', 'top_logprobs', 'token_logprobs', 'prompt_logprobs', 'completion_probabilities', 'probs', 'top_probs'],
  'logits',
])

const maxDepth = 8

/**
 * An answer, or an event of a stream, that tells less: log probabilities and embeddings rounded to the hardener's
 * decimals, with `top-k` alternatives of each token at most, or, for `label-only`, log probabilities left out and embeddings reduced to their signs (each ±1/√d, so that
 * they keep their length). Text is never changed, and nothing is at `none`.
 *
 * @throws Refusal `FAILED_UPSTREAM` where an embedding cannot be read: what cannot be hardened is not passed on
 */
export function hardenAnswer(answer: AnswerObject, hardener: Hardener): AnswerObject {
  if (hardener.level === 'none') return answer
  const hardened = hardenMembers(answer, hardener)
  if (Array.isArray(answer['choices'])) hardened['choices'] = objectsIn(answer['choices']).map((choice) => hardenChoice(choice, hardener))
  if (Array.isArray(answer['data'])) hardened['data'] = objectsIn(answer['data']).map((item) => hardenItem(item, hardener))
  return hardened
}

function hardenChoice(choice: AnswerObject, hardener: Hardener): AnswerObject {
  const hardened = hardenMembers(choice, hardener)
  for (const field of ['delta', 'message']) {
    const message = choice[field]
    if (isObject(message)) hardened[field] = hardenMembers(message, hardener)
  }
  return hardened
}

function hardenMembers(object: AnswerObject, hardener: Hardener): Record<string, unknown> {
  const { level, decimals } = hardener
  const hardened: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(object)) {
    if (!telling.has(name)) hardened[name] = value
    else hardened[name] = level === 'label-only' ? null : rounded(withAlternatives(name, value, keptOf(hardener)), 10 ** decimals)
  }
  return hardened
}

/** Every number in it; whole numbers stay what they are. What is nested deeper than any log probabilities are is left out. */
function rounded(value: unknown, scale: number, depth = 0): unknown {
  if (typeof value === 'number') return Math.round(value * scale) / scale
  if (typeof value !== 'object' || value === null) return value
  if (depth > maxDepth) return null
  if (Array.isArray(value)) return value.map((one) => rounded(one, scale, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, rounded(one, scale, depth + 1)]))
}

function hardenItem(item: AnswerObject, hardener: Hardener): AnswerObject {
  const { embedding } = item
  if (embedding === undefined) return item
  return { ...item, embedding: typeof embedding === 'string' ? hardenBase64(embedding, hardener) : hardenVector(embedding, hardener) }
}

/** @param embedding numbers; some servers nest them, one row a token */
function hardenVector(embedding: unknown, hardener: Hardener): unknown {
  if (!Array.isArray(embedding)) throw unreadable()
  if (Array.isArray(embedding[0])) return embedding.map((row) => hardenVector(row, hardener))
  const { level, decimals } = hardener
  const scale = 10 ** decimals
  const unit = 1 / Math.sqrt(embedding.length)
  return embedding.map((value) => {
    if (typeof value !== 'number') throw unreadable()
    return level === 'label-only' ? (value < 0 ? -unit : unit) : Math.round(value * scale) / scale
  })
}

/** Little-endian float32, as the API has it; the official clients ask for nothing else. */
function hardenBase64(embedding: string, hardener: Hardener): string {
  const bytes = Buffer.from(embedding, 'base64')
  if (bytes.length === 0 || bytes.length % 4 !== 0) throw unreadable()
  const values = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(4 * i))
  const hardened = hardenVector(values, hardener)
  if (Array.isArray(hardened)) hardened.forEach((value, i) => void bytes.writeFloatLE(Number(value), 4 * i))
  return bytes.toString('base64')
}

function unreadable() {
  return unusable('answer_unreadable', 'The model answered with an embedding that cannot be read.')
}
