import { z } from 'zod'
import type { Plan } from './plan.ts'
import { RequestError } from './refused.ts'
import type { Sampling } from './sampling.ts'
import { vocabularySize } from './vocabulary.ts'

export const limits = {
  /** Answers to one request: prompts times n. */
  choices: 64,
  stops: 4,
  stopCharacters: 256,
  /** Tokens of an answer where the client asks for none, and where it is JSON, which has its own end. */
  defaultTokens: 128,
  defaultJsonTokens: 4_096,
  topLogprobs: vocabularySize,
}

/** A request for text, as chat and completions share it. */
export interface Ask {
  /** One for each prompt. */
  readonly prompts: readonly string[]
  /** Answers to each prompt. */
  readonly n: number
  readonly plan: Plan
  readonly sampling: Sampling
  readonly seed: number | null
  readonly stops: readonly string[]
  readonly maxTokens: number
  /** Alternatives for each token; null where no log probabilities were asked for. */
  readonly top: number | null
  readonly echo: boolean
  readonly includeUsage: boolean
}

const penalty = z.number().min(-2).max(2).nullish()
const count = z.int().min(1).max(1_000_000).nullish()
const stop = z.string().min(1).max(limits.stopCharacters)

/** Fields that chat and completions share. */
export const generation = {
  temperature: z.number().min(0).max(100).nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
  stop: z.union([stop, z.array(stop).max(limits.stops)]).nullish(),
  n: z.int().min(1).max(limits.choices).nullish(),
  max_tokens: count,
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
}
const Generation = z.object(generation)
export type Generation = z.infer<typeof Generation>

/** Parses with a schema of this room. Throws {@link RequestError}, which names the field and nothing of its value. */
export function parse<T>(schema: z.ZodType<T>, request: unknown): T {
  const result = schema.safeParse(request)
  if (result.success) return result.data
  const param = String(result.error.issues[0]?.path[0] ?? 'request')
  throw new RequestError(param, `The field ${param} has a value that this model does not take.`)
}

export function samplingOf(request: Generation): Sampling {
  return {
    temperature: request.temperature ?? 1,
    topP: request.top_p ?? 1,
    presencePenalty: request.presence_penalty ?? 0,
    frequencyPenalty: request.frequency_penalty ?? 0,
    bias: new Map(Object.entries(request.logit_bias ?? {}).map(([token, bias]) => [tokenOf(token), bias])),
  }
}

export function stopsOf({ stop }: Generation): readonly string[] {
  return stop === null || stop === undefined ? [] : [stop].flat()
}

function tokenOf(key: string): number {
  const token = /^\d{1,2}$/.test(key) ? Number(key) : vocabularySize
  if (token < vocabularySize) return token
  throw new RequestError('logit_bias', `The field logit_bias names a token that there is none of: tokens are 0 to ${vocabularySize - 1}.`)
}
