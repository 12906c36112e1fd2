import type { z } from 'zod'
import type { Operation, Sampling } from '../../../schemas/index.ts'
import type { TextConfiguration } from '../../configuration.ts'
import { Chat, Completion, Embedding, essential, standard } from './fields.ts'
import { inputBytes } from './input-bytes.ts'
import { invalid, pathOf } from './invalid.ts'
import { checkMedia } from './media.ts'
import type { OpenBody } from './open-body.ts'
import { openToolRules, type ToolRules } from './tool-rules.ts'

export type TextOperation = Exclude<Operation, 'infer'>

/** A request that may be passed on. */
export interface TextRequest {
  readonly operation: TextOperation
  readonly json: Readonly<Record<string, unknown>>
  /** Of it: the client's own bytes where nothing had to be changed. */
  readonly body: Buffer
  readonly stream: boolean
  /** Answers to generate, or texts to embed. */
  readonly items: number
  /** Null for embeddings. */
  readonly sampling: Sampling | null
  /** Bytes of text in it, or four for each token. */
  readonly inputBytes: number
  /** What calls in the answer must fit; undefined where they are not looked at. */
  readonly tools: ToolRules | undefined
}

/**
 * Reads a request by the model's bounds.
 *
 * @throws Refusal `MALFORMED`, with the field in `param`; the message never repeats the input
 */
export function readRequest({ json, bytes }: OpenBody, operation: TextOperation, bounds: TextConfiguration): TextRequest {
  checkFields(json, operation, bounds.fields)
  const size = inputBytes(json)
  if (size > bounds.maxInputBytes)
    throw invalid(
      operation === 'chat' ? 'messages' : promptOf(operation),
      'string_above_max_length',
      `at most ${bounds.maxInputBytes} bytes`,
    )
  const common = { operation, inputBytes: size }
  if (operation === 'embedding') return { ...common, ...readEmbedding(json, bytes, bounds) }
  const read = operation === 'chat' ? readChat(json, bounds) : readCompletion(json, bounds)
  const bounded = withDefault(json, read.sampling, bounds)
  const body = bounded === json && bytes !== undefined ? bytes : Buffer.from(JSON.stringify(bounded))
  const sampling = bounded === json ? read.sampling : { ...read.sampling, maxTokens: defaultOf(bounds) }
  return { ...common, ...read, sampling, json: bounded, body }
}

function promptOf(operation: TextOperation): string {
  return operation === 'completion' ? 'prompt' : 'input'
}

function checkFields(json: Readonly<Record<string, unknown>>, operation: TextOperation, fields: readonly string[] | null): void {
  for (const field of Object.keys(json)) {
    const allowed = fields === null ? standard[operation].has(field) : essential.has(field) || fields.includes(field)
    if (!allowed) throw invalid(field, 'unknown_parameter', 'this model does not take the field')
  }
}

function readEmbedding(json: Readonly<Record<string, unknown>>, bytes: Buffer | undefined, bounds: TextConfiguration) {
  const { input } = parseAs(Embedding, json)
  const items = textsIn(input)
  if (items > bounds.maxEmbeddings) throw invalid('input', 'array_above_max_length', `at most ${bounds.maxEmbeddings} texts`)
  const body = bytes ?? Buffer.from(JSON.stringify(json))
  return { json, body, stream: false, items, sampling: null, tools: undefined }
}

function readChat(json: Readonly<Record<string, unknown>>, bounds: TextConfiguration) {
  const { messages } = json
  if (Array.isArray(messages) && messages.length > bounds.maxMessages)
    throw invalid('messages', 'array_above_max_length', `at most ${bounds.maxMessages} messages`)
  const chat = parseAs(Chat, json)
  if (!bounds.remoteMedia) checkMedia(chat)
  const topLogprobs = chat.top_logprobs ?? 0
  checkMost('top_logprobs', topLogprobs, bounds.maxTopLogprobs)
  checkMost('max_completion_tokens', chat.max_completion_tokens ?? 0, bounds.maxTokens)
  const items = chat.n ?? 1
  checkMost('n', items, bounds.maxChoices)
  const maxTokens = chat.max_completion_tokens ?? chat.max_tokens ?? null
  const sampling = samplingOf(chat, bounds, { maxTokens, choices: items, topLogprobs })
  return { stream: chat.stream ?? false, items, sampling, tools: openToolRules(chat, bounds.tools) }
}

function readCompletion(json: Readonly<Record<string, unknown>>, bounds: TextConfiguration) {
  const completion = parseAs(Completion, json)
  const topLogprobs = completion.logprobs ?? 0
  checkMost('logprobs', topLogprobs, bounds.maxTopLogprobs)
  checkMost('best_of', completion.best_of ?? 1, bounds.maxChoices)
  checkMost('n', completion.n ?? 1, bounds.maxChoices)
  const choices = Math.max(completion.n ?? 1, completion.best_of ?? 1)
  const items = choices * textsIn(completion.prompt)
  if (items > bounds.maxChoices)
    throw invalid('prompt', 'array_above_max_length', `prompts times answers to each are at most ${bounds.maxChoices}`)
  const sampling = samplingOf(completion, bounds, { maxTokens: completion.max_tokens ?? null, choices: items, topLogprobs })
  return { stream: completion.stream ?? false, items, sampling, tools: undefined }
}

type Generation = Pick<Chat, 'max_tokens' | 'min_tokens' | 'temperature' | 'top_p' | 'prompt_logprobs'>

/** Checks what both kinds of generation have. */
function samplingOf(
  { max_tokens, min_tokens, temperature, top_p, prompt_logprobs }: Generation,
  bounds: TextConfiguration,
  rest: Pick<Sampling, 'maxTokens' | 'choices' | 'topLogprobs'>,
): Sampling {
  checkMost('max_tokens', max_tokens ?? 0, bounds.maxTokens)
  checkMost('min_tokens', min_tokens ?? 0, bounds.maxTokens)
  checkMost('prompt_logprobs', prompt_logprobs ?? 0, bounds.maxTopLogprobs)
  const [least, most] = bounds.temperature
  if (typeof temperature === 'number' && !(temperature >= least && temperature <= most))
    throw invalid('temperature', 'decimal_out_of_range', `from ${least} to ${most}`)
  return { temperature: temperature ?? null, topP: top_p ?? null, ...rest }
}

function checkMost(field: string, value: number, most: number): void {
  if (value > most) throw invalid(field, 'integer_above_max_value', `at most ${most}`)
}

/** The request with the model's limit of tokens where the client named none; every server of the API knows `max_tokens`. */
function withDefault(json: Readonly<Record<string, unknown>>, sampling: Sampling, bounds: TextConfiguration) {
  if (sampling.maxTokens !== null || bounds.defaultTokens === null) return json
  return { ...json, max_tokens: defaultOf(bounds) }
}

function defaultOf({ defaultTokens, maxTokens }: TextConfiguration): number | null {
  return defaultTokens === null ? null : Math.min(defaultTokens, maxTokens)
}

/** A list of tokens is one text. */
function textsIn(prompt: string | readonly unknown[]): number {
  return typeof prompt === 'string' || typeof prompt[0] === 'number' ? 1 : prompt.length
}

function parseAs<S extends z.ZodType>(schema: S, json: unknown): z.infer<S> {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  if (issue === undefined) throw invalid('', 'invalid_value', 'The request is not one of the OpenAI API.')
  if (issue.code === 'unrecognized_keys')
    throw invalid(pathOf([...issue.path, ...issue.keys.slice(0, 1)]), 'unknown_parameter', 'there is no such field')
  const missing = issue.path.length === 1 && !Object.hasOwn(Object(json), issue.path[0] ?? '')
  throw invalid(pathOf(issue.path), missing ? 'missing_required_parameter' : 'invalid_value', wordsOf(issue))
}

/** Zod's own words where they tell of our bounds alone; those of a list or a pattern are ours too. */
function wordsOf(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_union' ? 'this does not have a form that the API knows' : issue.message
}
