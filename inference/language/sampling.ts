export interface Sampling {
  /** 0 takes the most probable. */
  readonly temperature: number
  /** Of the most probable tokens, as many as together have this probability. */
  readonly topP: number
  readonly presencePenalty: number
  readonly frequencyPenalty: number
  /** Added to the logit of a token. */
  readonly bias: ReadonlyMap<number, number>
}

/**
 * Log probabilities after bias and penalties, before temperature and top_p; natural.
 *
 * A token that was sampled `c` times loses `c * frequencyPenalty`, and `presencePenalty` if c > 0, as the OpenAI API has it.
 * @param logits of the candidates
 * @param tokens which token each candidate is
 * @param counts by token, how often it was sampled
 */
export function logProbabilities(
  logits: Float32Array,
  tokens: readonly number[],
  counts: Uint32Array,
  { bias, presencePenalty, frequencyPenalty }: Sampling,
): Float64Array {
  const logs = new Float64Array(tokens.length)
  let largest = -Infinity
  for (const [i, token] of tokens.entries()) {
    const count = counts[token] ?? 0
    const logit = (logits[token] ?? -Infinity) + (bias.get(token) ?? 0) - count * frequencyPenalty - (count > 0 ? presencePenalty : 0)
    logs[i] = logit
    largest = Math.max(largest, logit)
  }
  let sum = 0
  for (const logit of logs) sum += Math.exp(logit - largest)
  const normal = largest + Math.log(sum)
  return logs.map((logit) => logit - normal)
}

/**
 * Draws one by temperature and top_p (nucleus sampling, Holtzman et al., 2020).
 * @param uniform in [0, 1)
 * @returns an index of `logs`
 */
export function draw(logs: Float64Array, { temperature, topP }: Sampling, uniform: number): number {
  const order = Array.from(logs.keys()).sort((a, b) => (logs[b] ?? 0) - (logs[a] ?? 0) || a - b)
  const first = order[0] ?? 0
  if (temperature === 0) return first
  const weights = order.map((i) => Math.exp(((logs[i] ?? -Infinity) - (logs[first] ?? 0)) / temperature))
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  let kept = 0
  let mass = 0
  while (kept < weights.length && (kept === 0 || mass < topP * total)) mass += weights[kept++] ?? 0
  let left = uniform * mass
  for (let rank = 0; rank < kept - 1; rank++) {
    left -= weights[rank] ?? 0
    if (left < 0) return order[rank] ?? first
  }
  return order[kept - 1] ?? first
}
