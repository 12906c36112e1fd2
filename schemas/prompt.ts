import { z } from 'zod'
import { Bytes, EventId, Instant, Name } from './primitives.ts'
import { Hardening, Operation, Outcome } from './request.ts'

/** How a generation was to be sampled, as far as an attack shows in it; null where neither client nor model says. */
export const PromptSampling = z.object({
  temperature: z.number().nullable(),
  topP: z.number().nullable(),
  maxTokens: z.int().min(0).nullable(),
  /** Answers asked for. */
  choices: z.int().min(1),
  /** Alternatives whose log probabilities were asked for, per token. */
  topLogprobs: z.int().min(0),
  /** Tokens whose likelihood was changed, the largest change, and a keyed hash of them all; null where none was. */
  logitBias: z.object({ tokens: z.int().min(1), largest: z.number().min(0), hash: z.string().length(16) }).nullable(),
})
export type PromptSampling = z.infer<typeof PromptSampling>

/**
 * The keyed fingerprint of one prompt, and what became of it; never the prompt. Topic `prompts`, keyed by model, so that
 * alike prompts meet in one partition whoever sent them.
 *
 * Chunks are comparable between prompts of the same `model` and `epoch`.
 */
export const PromptEvent = z.object({
  /** Event id of the request it belongs to. */
  request: EventId,
  principal: Name,
  organization: Name.nullable(),
  keyId: Name.nullable(),
  keyCreatedAt: Instant.nullable(),
  /** As in the request's event: keyed hashes of the peer's address and of its User-Agent. */
  client: z.string().max(64),
  agent: z.string().max(64),
  model: Name,
  version: Name.nullable(),
  node: Name,
  operation: Operation,
  outcome: Outcome,
  hardening: Hardening,
  /** Counts rotations of the fingerprint key. */
  epoch: z.int().min(0),
  /** Keyed 64-bit hash of the whole text, hex: equal prompts, equal hash. */
  exact: z.string().length(16),
  /** The same of what the system and developer messages say; null without any. */
  system: z.string().length(16).nullable(),
  /** UTF-8 bytes of the text, and messages it came in. */
  bytes: z.int().min(0),
  messages: z.int().min(0),
  /**
   * The text cut where its content says so, in order. Six bytes a chunk: uint32 little-endian keyed hash; uint8 length in
   * characters (255: as many or more); uint8 surprise in eighths of a bit a character (255: as much or more), under a
   * character model of what the model is ordinarily asked.
   */
  chunks: Bytes,
  /** Mean surprise of the text, bits a character, and how many prompts the character model had learned from. */
  surprise: z.number().min(0),
  learned: z.int().min(0),
  tokensIn: z.int().min(0),
  tokensOut: z.int().min(0),
  finishReasons: z.array(z.string().max(32)).max(128),
  sampling: PromptSampling.nullable(),
  /** Whether the answer reads as a refusal; null where nobody looked, or there was no answer. */
  refused: z.boolean().nullable(),
  /** Keyed 64-bit hash of the answer's text, hex; null where nobody looked, or there was none. */
  answer: z.string().length(16).nullable(),
  /** Names of the canaries that appeared in the answer. */
  canaries: z.array(Name).max(16),
})
export type PromptEvent = z.infer<typeof PromptEvent>
