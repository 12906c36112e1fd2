import { isObject } from '../../json-object.ts'

/** Where servers of the API put the tokens that it might have been instead: OpenAI, vLLM, llama.cpp. */
const alternatives = new Set(['top_logprobs', 'top_probs', 'probs', 'prompt_logprobs'])
const maxDepth = 8

/**
 * Log probabilities with so many alternatives of each token at most, the likeliest. What is nested deeper than any are is
 * left out.
 *
 * @param name of the member that the value is
 */
export function withAlternatives(name: string, value: unknown, most: number, depth = 0): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (depth > maxDepth) return null
  if (alternatives.has(name)) return likeliest(value, most)
  if (Array.isArray(value)) return value.map((one) => withAlternatives('', one, most, depth + 1))
  return Object.fromEntries(Object.entries(value).map(([member, one]) => [member, withAlternatives(member, one, most, depth + 1)]))
}

/** Of one token, a list, `[{token, logprob}]`, or a map, `{token: logprob}`; of several, a list of either. */
function likeliest(value: object, most: number): unknown {
  if (!Array.isArray(value)) return likeliestOf(Object.entries(value), most, ([, one]) => one, Object.fromEntries)
  if (value.every((one) => weightOf(one) !== null))
    return likeliestOf(
      value,
      most,
      (one) => one,
      (kept) => kept,
    )
  return value.map((one) => (typeof one === 'object' && one !== null ? likeliest(one, most) : one))
}

function likeliestOf<T>(all: readonly T[], most: number, valueOf: (one: T) => unknown, made: (kept: T[]) => unknown): unknown {
  const weights = new Map(all.map((one) => [one, weightOf(valueOf(one)) ?? Number.NEGATIVE_INFINITY]))
  const order = [...weights].sort(([, a], [, b]) => b - a)
  const kept = new Set(order.slice(0, most).map(([one]) => one))
  return made(all.filter((one) => kept.has(one)))
}

/** A number, or an object that has one. */
function weightOf(value: unknown): number | null {
  if (typeof value === 'number') return value
  if (!isObject(value)) return null
  const weight = value['logprob'] ?? value['prob']
  return typeof weight === 'number' ? weight : null
}
