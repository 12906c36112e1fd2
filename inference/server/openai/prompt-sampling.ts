import type { PromptSampling } from '../../../schemas/index.ts'
import { isObject } from '../../json-object.ts'
import type { TextRequest } from './read-request.ts'

/**
 * How one prompt's answers are drawn, as far as attacks show in it.
 *
 * Log probabilities of the drawn token alone count as one alternative: with a bias they tell as much.
 *
 * @param prompts in the request; answers are shared out evenly
 */
export function promptSampling(
  { json, sampling }: Pick<TextRequest, 'json' | 'sampling'>,
  prompts: number,
  hashOf: (text: string) => string,
): PromptSampling | null {
  if (sampling === null) return null
  const { logprobs, prompt_logprobs } = json
  const asked = logprobs === true || typeof logprobs === 'number' ? 1 : 0
  return {
    temperature: sampling.temperature,
    topP: sampling.topP,
    maxTokens: sampling.maxTokens,
    choices: Math.max(1, Math.round(sampling.choices / prompts)),
    topLogprobs: Math.max(asked, sampling.topLogprobs, typeof prompt_logprobs === 'number' ? prompt_logprobs : 0),
    logitBias: logitBiasOf(json['logit_bias'], hashOf),
  }
}

/** Written canonically before it is hashed: in the order of tokens, and without those that change nothing. */
function logitBiasOf(map: unknown, hashOf: (text: string) => string): PromptSampling['logitBias'] {
  if (!isObject(map)) return null
  const biases: [token: number, bias: number][] = []
  let largest = 0
  for (const [token, bias] of Object.entries(map)) {
    if (typeof bias !== 'number' || bias === 0) continue
    biases.push([Number(token), bias])
    largest = Math.max(largest, Math.abs(bias))
  }
  if (biases.length === 0) return null
  biases.sort(([a], [b]) => a - b)
  return { tokens: biases.length, largest, hash: hashOf(`logit_bias ${biases.join(' ')}`) }
}
