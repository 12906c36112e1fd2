import { z } from 'zod'
import { Hardening } from '../../schemas/index.ts'

/** What leaves of one model, whoever asks: containments make it stricter, never looser. */
export const HardeningConfiguration = z.strictObject({
  level: Hardening.default('none').describe(
    'how little every answer tells: none is everything; rounded, top-k (the k largest, rounded) and label-only tell less and less',
  ),
  decimals: z.int().min(0).max(6).default(2).describe('digits after the point, at rounded and top-k'),
  k: z.int().min(1).max(1_000).default(3).describe('probabilities that stay at top-k, and the most alternatives of a token'),
  noise: z
    .number()
    .min(0)
    .max(0.1)
    .default(0)
    .describe('most that noise changes the probabilities of one answer in sum (L1): the same noise for the same input, the same top class'),
  padTo: z.int().min(0).max(65_536).default(0).describe('answers are filled up with blanks to a multiple of so many bytes; 0 is off'),
  floorMs: z.int().min(0).max(10_000).default(0).describe('answers leave no earlier than so long after their request arrived; 0 is off'),
  watermark: z
    .enum(['off', 'suspects', 'everyone'])
    .default('off')
    .describe(
      'whose answers carry a watermark: a few labels, chosen by a key, are wrong, so that a copy is known by them; suspects are whom a harden-output lease is about',
    ),
  marked: z.number().min(0).max(0.01).default(0.004).describe('share of the inputs that are answered wrongly for the watermark'),
})
export type HardeningConfiguration = z.infer<typeof HardeningConfiguration>
