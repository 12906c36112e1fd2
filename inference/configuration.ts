import { createHash, randomBytes } from 'node:crypto'
import { z } from 'zod'
import { Name, Operation } from '../schemas/index.ts'
import { type AnswerKey, openAnswerKey } from './hardening/answer-key.ts'
import { HardeningConfiguration } from './hardening/configuration.ts'
import { RedactionConfiguration, SanitiseConfiguration } from './redaction/configuration.ts'
import type { Hardener } from './server/harden.ts'

/** Bounds of a language model's requests; what exceeds them is refused with 400, and what is left out takes the default. */
export const TextConfiguration = z.strictObject({
  maxMessages: z.int().min(1).max(4_096).default(256).describe('messages in one chat'),
  maxInputBytes: z
    .int()
    .min(1)
    .max(16_777_216)
    .default(262_144)
    .describe('bytes of the prompt, or of all messages; of all texts that come as tensors, where redaction or sanitise looks at them'),
  maxTokens: z.int().min(1).max(1_000_000).default(4_096).describe('most tokens that one answer may have; more are refused'),
  defaultTokens: z
    .int()
    .min(1)
    .nullable()
    .default(null)
    .describe("tokens where the client asks for none; null leaves it to the model's server"),
  temperature: z
    .tuple([z.number().min(0), z.number().max(5)])
    .default([0, 2])
    .describe('least and most'),
  maxChoices: z.int().min(1).max(128).default(8).describe('answers to one request (n, best_of)'),
  maxTopLogprobs: z.int().min(0).max(128).default(20).describe('alternatives for each token'),
  remoteMedia: z
    .boolean()
    .default(false)
    .describe(
      "whether images, audio and video may be addresses, which the model's server fetches with what it reaches; else data: URLs alone",
    ),
  maxEmbeddings: z.int().min(1).max(4_096).default(256).describe('texts in one request for embeddings'),
  fields: z
    .array(z.string().max(64))
    .max(256)
    .nullable()
    .default(null)
    .describe("fields of a request that may be used, besides model, messages, prompt and input; null is the OpenAI API's"),
  tools: z
    .strictObject({
      allow: z
        .array(z.string().max(64))
        .max(1_024)
        .nullable()
        .default(null)
        .describe('names of tools that a request may offer; null is any'),
      strict: z
        .boolean()
        .default(false)
        .describe('tools must come with a strict JSON schema, and calls in the answer must fit it and name a tool that was offered'),
    })
    .prefault({}),
  fingerprintPrompts: z
    .boolean()
    .default(true)
    .describe('whether prompts leave a keyed fingerprint, from which attacks on the model are seen; never their text'),
  keepPrompts: z
    .boolean()
    .default(false)
    .describe('whether the audit trail holds the prompts themselves, up to 64 KiB of each request; else their keyed hash alone'),
  examineAnswers: z
    .boolean()
    .default(true)
    .describe('whether the node looks at answers as they pass, for a keyed hash, refusals and canaries; nothing of their text is kept'),
  canaries: z
    .array(z.strictObject({ name: Name, text: z.string().min(8).max(256) }))
    .max(64)
    .default([])
    .describe(
      'texts planted where no answer may have them from, such as the system prompt or training data; an answer that has one is a leak',
    ),
  redaction: RedactionConfiguration.prefault({}).describe('personal data and secrets in what the model reads and says'),
  sanitise: SanitiseConfiguration.prefault({}).describe('characters that nobody sees, in what the model reads and says'),
  refusals: z
    .array(z.string().min(2).max(128))
    .max(512)
    .nullable()
    .default(null)
    .describe('how answers begin that refuse, in any case; null is a list for sixteen languages'),
})
export type TextConfiguration = z.infer<typeof TextConfiguration>

/** What a model handles and for what; the policy reads it. */
export const ModelLabels = z.strictObject({
  sensitivity: z
    .enum(['public', 'internal', 'confidential', 'restricted'])
    .default('internal')
    .describe('of the data that the model was made of or handles'),
  purposes: z
    .array(Name)
    .max(64)
    .default([])
    .describe('what the model may be asked for, as callers state it in x-cordon-purpose; empty is anything'),
  owner: Name.nullable().default(null).describe('organization that answers for the model'),
})
export type ModelLabels = z.infer<typeof ModelLabels>

/** How one model is served: in the configuration file under `models`, by name. Every part has a default. */
export const ModelConfiguration = z.strictObject({
  batching: z
    .strictObject({
      maxItems: z.int().min(1).max(1_024).default(32).describe('most inputs merged into one run'),
      maxWaitMicros: z
        .int()
        .min(0)
        .max(1_000_000)
        .default(0)
        .describe('how long the first may wait for others; 0 batches what waits behind a running batch anyway'),
    })
    .prefault({}),
  pricePerItem: z.number().min(0).nullable().default(null).describe('cost of one input; null is inference.pricePerItem'),
  pricePerTokenIn: z.number().min(0).default(0).describe('cost of one token of a prompt'),
  pricePerTokenOut: z.number().min(0).default(0).describe('cost of one token of an answer'),
  labels: ModelLabels.prefault({}).describe('what policies can ask of the model'),
  text: TextConfiguration.prefault({}).describe('bounds of chat, completions and embeddings'),
  hardening: HardeningConfiguration.prefault({}).describe('what leaves, whoever asks; containments make it stricter'),
})
export type ModelConfiguration = z.infer<typeof ModelConfiguration>

function withoutLogin(address: string): boolean {
  // What is no address was refused before; zod goes on to this all the same.
  if (!URL.canParse(address)) return true
  const { username, password } = new URL(address)
  return username === '' && password === ''
}

/** How a pool's upstream is watched and spared. Names and meanings are Envoy's, of outlier detection and circuit breakers. */
export const UpstreamConfiguration = z.strictObject({
  protocol: z
    .enum(['oip', 'openai'])
    .describe('Open Inference Protocol v2 (Triton, KServe, Seldon), or the OpenAI API (vLLM, llama.cpp, LiteLLM)'),
  endpoints: z
    .array(
      z.url({ protocol: /^https?$/ }).refine(withoutLogin, 'write no user and password into the address; the token stands in tokenFile'),
    )
    .min(1)
    .max(64)
    .describe('base addresses, without /v2 or /v1'),
  names: z.record(Name, z.string().min(1).max(256)).default({}).describe('what a model is called there, where that differs'),
  version: Name.default('1').describe('version that events name; the OpenAI API has none of its own'),
  operations: z
    .array(Operation.exclude(['infer']))
    .min(1)
    .default(['chat', 'completion', 'embedding'])
    .describe('openai: what the models there can do'),
  tokenFile: z.string().nullable().default(null).describe('file with the bearer token that the upstream wants'),
  caFile: z.string().nullable().default(null).describe("PEM of the authority that signed the upstream's certificate; null is the system's"),
  connectMs: z.int().min(1).default(1_000).describe('how long connecting may take'),
  firstByteMs: z.int().min(1).default(30_000).describe('how long the answer may take to begin; beyond it 504'),
  idleMs: z.int().min(1).default(30_000).describe('longest pause within an answer; beyond it the answer is broken off'),
  maxConnections: z.int().min(1).max(10_000).default(128).describe('connections to one endpoint; what exceeds them waits its turn'),
  retries: z
    .int()
    .min(0)
    .max(5)
    .default(1)
    .describe('tries on another endpoint, only where this one cannot have begun: not connected, or 503'),
  health: z
    .strictObject({
      path: z.string().startsWith('/').nullable().default(null).describe('null is /v2/health/ready or /v1/models'),
      intervalMs: z.int().min(10).default(2_000),
      timeoutMs: z.int().min(10).default(1_000),
      unhealthyThreshold: z.int().min(1).default(3).describe('failures in a row until an endpoint gets nothing'),
      healthyThreshold: z.int().min(1).default(1),
    })
    .prefault({}),
  outlier: z
    .strictObject({
      consecutiveFailures: z.int().min(1).default(5).describe('failed requests in a row until an endpoint is ejected'),
      baseEjectionMs: z.int().min(1).default(10_000).describe('times how often it was ejected of late'),
      maxEjectionMs: z.int().min(1).default(300_000),
      maxEjectionShare: z.number().min(0).max(1).default(1).describe('of the endpoints; the others go on getting work'),
    })
    .prefault({}),
})
export type UpstreamConfiguration = z.infer<typeof UpstreamConfiguration>

/** Workers, or endpoints, that serve models together. */
export const PoolConfiguration = z.strictObject({
  name: Name,
  models: z.array(Name).min(1).max(256),
  concurrency: z.int().min(1).max(100_000).default(128).describe('requests that run at once; the others wait, and clients take turns'),
  upstream: UpstreamConfiguration.nullable().default(null).describe('where the models run; null is in this process, on the backend'),
})
export type PoolConfiguration = z.infer<typeof PoolConfiguration>

/** A model's configuration with its digest, as events name it. */
export interface ServedConfiguration extends ModelConfiguration {
  /** First 16 hex digits of the SHA-256 of its JSON. */
  readonly digest: string
  /** What every answer of the model is hardened by; undefined where that is nothing. */
  readonly floor: Hardener | undefined
  /** Draws noise and watermarks. */
  readonly answers: AnswerKey
}

/**
 * @param secret 32 bytes that noise and watermarks are drawn from, the same on every node; left out, they are this process's alone
 * @returns the configuration of a model; that of one that is not named is all defaults. Holds as many as are configured.
 */
export function configurations(
  named: Readonly<Record<string, ModelConfiguration>>,
  secret: Uint8Array = randomBytes(32),
): (model: string) => ServedConfiguration {
  const answers = openAnswerKey(secret)
  const served = new Map(Object.entries(named).map(([name, one]) => [name, servedOf(one, answers)]))
  const others = servedOf(ModelConfiguration.parse({}), answers)
  return (model) => served.get(model) ?? others
}

function servedOf(configuration: ModelConfiguration, answers: AnswerKey): ServedConfiguration {
  const digest = createHash('sha256').update(JSON.stringify(configuration)).digest('hex').slice(0, 16)
  return { ...configuration, digest, floor: floorOf(configuration.hardening), answers }
}

function floorOf({ level, decimals, k, noise, padTo, floorMs, watermark }: HardeningConfiguration): Hardener | undefined {
  const everyone = watermark === 'everyone'
  if (level === 'none' && noise === 0 && padTo === 0 && floorMs === 0 && !everyone) return undefined
  return { level, decimals, k, noise, padTo, floorMs, watermark: everyone }
}
