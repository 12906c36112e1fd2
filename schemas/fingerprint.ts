import { z } from 'zod'
import { Bytes, EventId, Instant, Name, Unit } from './primitives.ts'
import { Hardening } from './request.ts'

/** What the model answered to one input, without the input. */
export const OutputSummary = z.object({
  /** Index of the top class, and its name where the model declares one. */
  label: z.int().min(0),
  confidence: Unit,
  /** Top-1 minus top-2 probability. */
  margin: Unit,
  /** Shannon entropy of the answer in nats. */
  entropy: z.number().min(0),
})
export type OutputSummary = z.infer<typeof OutputSummary>

/**
 * The keyed fingerprint of one input of one request. Topic `fingerprints`, keyed by model, so that
 * near-duplicates meet in one partition whoever sent them.
 *
 * Distances between sketches of the same `model`, `profile` and `epoch` estimate the Euclidean distance of
 * the inputs; sketches of different ones must not be compared.
 */
export const FingerprintEvent = z.object({
  /** Event id of the request it belongs to, and the index in its batch. */
  request: EventId,
  index: z.int().min(0),
  principal: Name,
  organization: Name.nullable(),
  keyId: Name.nullable(),
  model: Name,
  version: Name,
  node: Name,
  /** Digest (first 16 hex digits) of the reference profile it was computed with. */
  profile: z.string().max(64),
  /** Counts rotations of the fingerprint key. */
  epoch: z.int().min(0),
  /** Keyed 64-bit hash of the exact input, hex: equal inputs, equal hash. A retry, not a probe. */
  exact: z.string().length(16),
  /** Int16 little-endian coordinates; multiply by `scale` for input units. */
  sketch: Bytes,
  /** Input units (L2) per step of the sketch. */
  scale: z.number().positive(),
  /** Similarity-preserving hash set: uint32 little-endian locality-sensitive band hashes. */
  bands: Bytes,
  /** L2 distance of the input from the subspace of the model's ordinary traffic. */
  residual: z.number().min(0),
  /** Share of reference inputs of the same predicted class with at least this residual, in (0,1]. */
  residualTail: Unit,
  /** Share of reference inputs of the same predicted class with at most this confidence, in (0,1]. */
  confidenceTail: Unit,
  /** Share of reference inputs of the same predicted class at least this far (Mahalanobis, within class), in (0,1]. */
  classTail: Unit,
  /** Distance in the sketch to the nearest of the profile's reference inputs: what "far" means around here. */
  referenceDistance: z.number().min(0),
  output: OutputSummary,
  /** Since 1.1, and so are those after it: how much of the answer left. */
  hardening: Hardening.default('none'),
  /** Whether any of it left: a query may be refused for what its input lies near. */
  answered: z.boolean().default(true),
  /** As in the request's event: keyed hashes of the peer's address and of its User-Agent. Empty where they are not known. */
  client: z.string().max(64).default(''),
  agent: z.string().max(64).default(''),
  /** When the caller's key was made; null where it is not known. */
  keyCreatedAt: Instant.nullable().default(null),
})
export type FingerprintEvent = z.infer<typeof FingerprintEvent>

/** What the fields since 1.1 say where nothing is known of the caller, and the answer left whole. */
export const plainCaller = {
  hardening: 'none',
  answered: true,
  client: '',
  agent: '',
  keyCreatedAt: null,
} as const satisfies Partial<FingerprintEvent>
