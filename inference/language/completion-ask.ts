import { z } from 'zod'
import { type Ask, generation, limits, parse, samplingOf, stopsOf } from './ask.ts'
import { RequestError } from './refused.ts'
import { textsOf } from './texts.ts'

const Completion = z.object({
  ...generation,
  prompt: z.unknown().optional(),
  echo: z.boolean().nullish(),
  suffix: z.literal('').nullish(),
  best_of: z.int().min(1).nullish(),
  logprobs: z.int().min(0).max(limits.topLogprobs).nullish(),
})

/** @throws RequestError */
export function completionAsk(request: unknown): Ask {
  const completion = parse(Completion, request)
  const { echo, logprobs } = completion
  const n = completion.n ?? 1
  const prompts = textsOf(completion.prompt ?? '', 'prompt')
  if (prompts.length * n > limits.choices) throw new RequestError('n', `A request may have ${limits.choices} answers in all.`)
  if ((completion.best_of ?? n) !== n) throw new RequestError('best_of', 'This model gives every answer that it writes: leave best_of out.')
  if (echo === true && typeof logprobs === 'number') {
    throw new RequestError('echo', 'This model gives no log probabilities of a prompt: leave out echo or logprobs.')
  }
  return {
    prompts,
    n,
    plan: { kind: 'text' },
    sampling: samplingOf(completion),
    seed: completion.seed ?? null,
    stops: stopsOf(completion),
    maxTokens: completion.max_tokens ?? limits.defaultTokens,
    top: logprobs ?? null,
    echo: echo === true,
    includeUsage: completion.stream_options?.include_usage === true,
  }
}
