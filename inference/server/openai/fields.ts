import { z } from 'zod'
import { FunctionChoice, Message, OfferedFunction, ResponseFormat, Tool, ToolChoice } from './messages.ts'

/** Asked with, whatever is asked; the configuration cannot leave them out. */
export const essential: ReadonlySet<string> = new Set(['model', 'messages', 'prompt', 'input'])

const count = z.int().min(0).max(1_000_000).nullish()
const penalty = z.number().min(-2).max(2).nullish()
const flag = z.boolean().nullish()
const word = z.string().max(256)

/** A prompt, several of them, or the same as tokens. By hand: zod would have something to say of each of a million tokens. */
const prompt = z.custom<string | readonly string[] | readonly number[] | readonly (readonly number[])[]>(
  (value) => typeof value === 'string' || isList(value, isString) || isList(value, isToken) || isList(value, isTokens),
  'expected a text, a list of texts, a list of tokens, or a list of such lists; none of them empty',
)

function isList(value: unknown, of: (one: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(of)
}

function isString(value: unknown): value is string {
  return typeof value === 'string'
}

function isToken(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isTokens(value: unknown): value is readonly number[] {
  return isList(value, isToken)
}

/** Both kinds of generation have them. */
const generation = {
  model: z.string().min(1).max(256),
  stream: flag,
  stream_options: z.strictObject({ include_usage: flag, include_obfuscation: flag }).nullish(),
  max_tokens: count,
  temperature: z.number().nullish(),
  top_p: z.number().min(0).max(1).nullish(),
  presence_penalty: penalty,
  frequency_penalty: penalty,
  logit_bias: z.record(z.string().regex(/^\d{1,10}$/), z.number().min(-100).max(100)).nullish(),
  seed: z.int().nullish(),
  stop: z.union([word, z.array(word).max(16)]).nullish(),
  n: z.int().min(1).nullish(),
  user: word.nullish(),
}

const chat = {
  ...generation,
  messages: z.array(Message).min(1),
  max_completion_tokens: count,
  logprobs: flag,
  top_logprobs: z.int().min(0).nullish(),
  tools: z.array(Tool).max(128).nullish(),
  tool_choice: ToolChoice.nullish(),
  parallel_tool_calls: flag,
  functions: z.array(OfferedFunction).max(128).nullish(),
  function_call: FunctionChoice.nullish(),
  response_format: ResponseFormat.nullish(),
  reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'max']).nullish(),
  verbosity: z.enum(['low', 'medium', 'high']).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  modalities: z
    .array(z.enum(['text', 'audio']))
    .max(2)
    .nullish(),
  audio: z.looseObject({ format: z.string().max(16) }).nullish(),
  prediction: z.strictObject({ type: z.literal('content'), content: z.union([z.string(), z.array(z.unknown()).max(1_024)]) }).nullish(),
  store: flag,
  service_tier: z.string().max(32).nullish(),
  safety_identifier: word.nullish(),
  prompt_cache_key: word.nullish(),
  prompt_cache_retention: z.string().max(32).nullish(),
  web_search_options: z.looseObject({}).nullish(),
}

const completion = {
  ...generation,
  prompt,
  suffix: z.string().nullish(),
  echo: flag,
  best_of: z.int().min(1).nullish(),
  logprobs: z.int().min(0).nullish(),
}

const embedding = {
  model: generation.model,
  input: prompt,
  dimensions: z.int().min(1).max(65_536).nullish(),
  encoding_format: z.enum(['float', 'base64']).nullish(),
  user: word.nullish(),
}

/**
 * What other servers of the API take besides: vLLM, llama.cpp, SGLang. Only where the model's `fields` name them; what
 * `fields` name and nobody here knows is passed on whatever JSON it is.
 */
const extra = {
  top_k: z.int().min(-1).max(1_000_000).nullish(),
  min_p: z.number().min(0).max(1).nullish(),
  repetition_penalty: z.number().min(0.01).max(10).nullish(),
  length_penalty: z.number().min(-10).max(10).nullish(),
  min_tokens: count,
  stop_token_ids: z.array(z.int().min(0)).max(256).nullish(),
  ignore_eos: flag,
  skip_special_tokens: flag,
  spaces_between_special_tokens: flag,
  include_stop_str_in_output: flag,
  add_generation_prompt: flag,
  continue_final_message: flag,
  prompt_logprobs: z.int().min(0).nullish(),
  truncate_prompt_tokens: z.int().min(-1).nullish(),
  priority: z.int().nullish(),
  guided_json: z.union([z.string(), z.record(z.string(), z.unknown())]).nullish(),
  guided_regex: z.string().max(4_096).nullish(),
  guided_grammar: z.string().max(65_536).nullish(),
  guided_choice: z.array(word).max(1_024).nullish(),
}

/** Parses what is known, and lets the rest through: whether it is allowed was looked at before. */
export const Chat = z.looseObject({ ...extra, ...chat })
export const Completion = z.looseObject({ ...extra, ...completion })
export const Embedding = z.looseObject({ ...extra, ...embedding })

/** Fields of the OpenAI API: what a model takes whose configuration names none. */
export const standard = {
  chat: new Set(Object.keys(chat)),
  completion: new Set(Object.keys(completion)),
  embedding: new Set(Object.keys(embedding)),
} as const satisfies Record<string, ReadonlySet<string>>

export type Chat = z.infer<typeof Chat>
export type Completion = z.infer<typeof Completion>
export type Embedding = z.infer<typeof Embedding>
