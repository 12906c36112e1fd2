import { z } from 'zod'
import { EventId, Instant } from '../../schemas/index.ts'

/** What is looked for, each by a test of its own. */
export const patterns = [
  'canary',
  'bias',
  'magnitudes',
  'resubmission',
  'settings',
  'divergence',
  'harvest',
  'refusals',
  'system',
  'repetition',
] as const
export const Pattern = z.enum(patterns)
export type Pattern = z.infer<typeof Pattern>

const whole = z.int().min(0)
const bits = z.int()

/**
 * One prompt of the principal, by its keyed hash. A tuple, since a principal has up to fourteen of them; see the names in memory.ts.
 * Sets are bits in words, by hashes that nobody without the node's key can choose: they count at most what was there.
 */
export const Remembered = z.tuple([whole, whole, bits, bits, bits, bits, bits, whole, whole, z.int()])
export type Remembered = z.infer<typeof Remembered>

export const Episode = z.object({
  pattern: Pattern,
  opened: EventId,
  from: Instant,
  degree: z.int().min(0).max(6),
  /** When it last was stated, and when there last was something of it. */
  stated: Instant,
  last: Instant,
  firstPrompt: whole,
})
export type Episode = z.infer<typeof Episode>

export const State = z.object({
  prompts: whole,
  at: Instant,
  /** Of the first prompt's keyed hash: sets of what clients choose are kept under it. */
  salt: whole,
  memory: z.array(Remembered).max(15),
  /** Largest biases, as bits. */
  magnitudes: bits,
  divergences: z.number().min(0),
  /** Evidence that refused prompts are sent again beyond what people do, and different prompts that were refused. */
  insistence: z.number().min(0),
  refusedPrompts: z.number().min(0),
  /** Log evidence that refusals climbed, and the share of refusals before, over the last few hundred fresh prompts. */
  climb: z.number().min(0),
  refusalRate: z.number().min(0).max(1),
  judged: whole,
  /** Of fresh prompts, forgotten by time: all, with long answers, with log probabilities too, in longer conversations; tokens. */
  fresh: z.number().min(0),
  long: z.number().min(0),
  told: z.number().min(0),
  talks: z.number().min(0),
  tokensIn: z.number().min(0),
  tokensOut: z.number().min(0),
  /** Mean and spread of the logarithm of the time between prompts, of the last fifty or so. */
  gap: z.number(),
  gapSpread: z.number().min(0),
  /** The system prompt that was used last, the fewest bytes of a prompt with it, and evidence that answers repeat it. */
  system: whole,
  systemChanges: z.number().min(0),
  leastBytes: whole,
  echoes: z.number().min(0),
  /** Tokens of the last answer that might have. */
  lastEcho: whole,
  episodes: z.array(Episode).max(patterns.length),
})
export type State = z.infer<typeof State>
