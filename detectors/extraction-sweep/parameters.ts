import { z } from 'zod'

export const Parameters = z.object({
  likely: z
    .number()
    .min(10)
    .default(3e3)
    .describe('Evidence (an e-value: at most 1 in this many ordinary principals ever reaches it) for a first statement.'),
  certain: z.number().min(10).default(1e5).describe('… for a statement that justifies restrictions.'),
  beyondDoubt: z.number().min(10).default(1e9).describe('… for the last one.'),
  cap: z.number().min(2).max(1_000).default(30).describe('The most that one query may multiply the evidence by.'),
  junkShare: z
    .number()
    .min(0)
    .max(0.2)
    .default(0.01)
    .describe('Share of queries that may be arbitrarily odd in ordinary traffic, for ever.'),
  inflation: z
    .number()
    .min(1)
    .default(2)
    .describe("Factor by which the reference profile's tail probabilities may be too small for this model's ordinary traffic."),
  returnRatio: z
    .number()
    .positive()
    .max(1)
    .default(0.4)
    .describe('A query comes back to an old one when it is nearer to it than this share of its distance to the nearest reference input.'),
  chainRatio: z
    .number()
    .positive()
    .max(1)
    .default(0.8)
    .describe(
      'A query varies one of the last few when it is nearer than this share: video, tools and sweeps do, and what it varies was weighed already.',
    ),
  farChainRatio: z
    .number()
    .positive()
    .max(1)
    .default(0.3)
    .describe('The same far outside ordinary traffic, where everything is near to everything else against the distance to the reference.'),
  serialRatio: z
    .number()
    .min(0)
    .max(1)
    .default(0.75)
    .describe(
      'A query follows the last one, too, when it is nearer to it than this share of the lower quartile of its distances to the last few.',
    ),
  chainLength: z
    .int()
    .min(2)
    .default(32)
    .describe('After this many variations one that is no longer near the first is weighed as a new input.'),
  references: z
    .number()
    .positive()
    .default(200)
    .describe('Reference inputs of a class in the reference profile: what being near to an own earlier query is held against.'),
  suspectedNovel: z
    .number()
    .min(0)
    .max(20)
    .default(5)
    .describe('Odd queries that neither a constant shift, sensor noise nor one varied input explains, before evidence is a suspicion.'),
  likelyNovel: z.number().min(0).max(20).default(5.5).describe('… before it is more.'),
  certainNovel: z.number().min(0).max(20).default(7).describe('… before it justifies restrictions.'),
  lines: z.int().min(2).default(5).describe('Going on in even steps from this many different inputs is noted: tools do it from a few.'),
  manyLines: z.int().min(2).default(7).describe('… and something is done about it.'),
  lattices: z.int().min(2).default(3).describe('The same for inputs that are varied over a grid, or one value at a time.'),
})
export type Parameters = z.infer<typeof Parameters>
