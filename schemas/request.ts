import { z } from 'zod'
import { Instant, Name, Unit } from './primitives.ts'

/** How the node disposed of a request; one word for each exit of the request path. */
export const Outcome = z.enum([
  'served',
  'unauthenticated', // 401
  'denied', // 403
  'throttled', // 429
  'quarantined', // 503, the pool is contained
  'overloaded', // 503, admission or queue time
  'invalid', // 400, 404, 413, 415, 422
  'failed', // 500, 502, 504
  'aborted', // the client went away before its answer was whole; 499 here, nobody was told. Since 1.1.
])
export type Outcome = z.infer<typeof Outcome>

/** Why a request was denied. */
export const Denial = z.enum([
  'capability', // the credential is not for it
  'lease', // a containment denies it
  'policy', // a policy forbids it, or none permits it
  'undecided', // policies could not be asked, or could not be evaluated: nobody said no
])
export type Denial = z.infer<typeof Denial>

/** How little an answer told, from everything to the label alone; `top-k` since 1.2. This order is what `stricter` goes by. */
export const Hardening = z.enum(['none', 'rounded', 'top-k', 'label-only'])
export type Hardening = z.infer<typeof Hardening>

/** The level that tells less. */
export function stricterHardening(a: Hardening, b: Hardening): Hardening {
  const { options } = Hardening
  return options.indexOf(a) >= options.indexOf(b) ? a : b
}

/** What was asked of a model; the last three are `gen_ai.operation.name` chat, text_completion and embeddings. */
export const Operation = z.enum(['infer', 'chat', 'completion', 'embedding'])
export type Operation = z.infer<typeof Operation>

/** Sampling parameters of a generation as they were in force; null where neither client nor model sets one. */
export const Sampling = z.object({
  temperature: z.number().nullable(),
  topP: z.number().nullable(),
  maxTokens: z.int().min(0).nullable(),
  /** Answers asked for. */
  choices: z.int().min(1),
  /** Alternatives whose log probabilities were asked for, per token. */
  topLogprobs: z.int().min(0),
})
export type Sampling = z.infer<typeof Sampling>

/** Where `tokensIn` and `tokensOut` come from: whoever ran the model said so, or the node counted what it saw pass. */
export const TokenCount = z.enum(['none', 'reported', 'estimated'])
export type TokenCount = z.infer<typeof TokenCount>

/** What the node says of one HTTP request to a model. Topic `requests`, keyed by principal. */
export const RequestEvent = z.object({
  /** `anonymous` when the request carried no usable key. */
  principal: Name,
  organization: Name.nullable(),
  keyId: Name.nullable(),
  model: Name,
  /** The version that ran; null when none did. */
  version: Name.nullable(),
  pool: Name.nullable(),
  node: Name,
  outcome: Outcome,
  status: z.int().min(100).max(599),
  hardening: Hardening,
  /** Inputs in the request (the batch dimension). */
  items: z.int().min(0),
  bytesIn: z.int().min(0),
  bytesOut: z.int().min(0),
  /** From the first byte read to the answer handed to the socket. */
  durationMs: z.number().min(0),
  /** Part of it spent waiting for a batch. */
  queueMs: z.number().min(0),
  tokensIn: z.int().min(0),
  tokensOut: z.int().min(0),
  /** Cost in the price table's currency. */
  cost: z.number().min(0),
  /** Keyed hash of the peer's address: equal addresses compare equal, and nobody without the key can invert it. */
  client: z.string().max(64),
  /** Keyed hash of the User-Agent. */
  agent: z.string().max(64),
  answeredAt: Instant,
  /** The lease that refused or hardened it, if one did. */
  lease: z.string().max(300).nullable(),
  /** Set with outcome `served`: mean top-1 confidence of the answers. */
  confidence: Unit.nullable(),
  /** Since 1.1, and so are those after it. */
  operation: Operation.default('infer'),
  streamed: z.boolean().default(false),
  /** Milliseconds to the first token of a streamed generation. */
  firstTokenMs: z.number().min(0).nullable().default(null),
  tokenCount: TokenCount.default('none'),
  sampling: Sampling.nullable().default(null),
  /** Of each choice, as the model's server says them: `stop`, `length`, `tool_calls`. */
  finishReasons: z.array(z.string().max(32)).max(128).default([]),
  /** Calls of tools in the answer. */
  toolCalls: z.int().min(0).default(0),
  /** The upstream endpoint that answered; null where the model ran in the node. */
  endpoint: Name.nullable().default(null),
  /** Digest of the configuration that the model was served under. */
  configuration: z.string().max(64).default(''),
  /** W3C trace id, for whoever follows the request further; null without one. */
  trace: z
    .string()
    .regex(/^[0-9a-f]{32}$/)
    .nullable()
    .default(null),
  /** Since 1.2, and so are those after it: version of the policies that were asked; empty where none were. */
  policy: z.string().max(64).default(''),
  /** Those that decided. */
  policies: z.array(z.string().max(128)).max(16).default([]),
  /** How the caller proved who it is: `key`, `oidc`, `token` or `certificate`. */
  method: z.string().max(32).default('key'),
  /** Since 1.3: set with outcome `denied`. */
  denial: Denial.nullable().default(null),
})
export type RequestEvent = z.infer<typeof RequestEvent>

/** What the fields since 1.1 say of an inference that nothing special is known of. */
export const plainInference = {
  operation: 'infer',
  streamed: false,
  firstTokenMs: null,
  tokenCount: 'none',
  sampling: null,
  finishReasons: [],
  toolCalls: 0,
  endpoint: null,
  configuration: '',
  trace: null,
  policy: '',
  policies: [],
  method: 'key',
  denial: null,
} satisfies Partial<RequestEvent>
