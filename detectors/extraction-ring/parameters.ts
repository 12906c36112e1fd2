import { z } from 'zod'

export const Parameters = z.object({
  threshold: z
    .number()
    .min(10)
    .default(1e5)
    .describe('Evidence that a ring is at work (a likelihood ratio against an ordinary population) before anybody is named.'),
  posterior: z
    .number()
    .min(0.5)
    .max(0.9999)
    .default(0.97)
    .describe('An account is named when it belongs to the ring with at least this probability.'),
  oddShare: z
    .number()
    .min(0.001)
    .max(0.3)
    .default(0.02)
    .describe('Share of new accounts that may honestly send inputs which are unlike ordinary traffic and like each other.'),
  members: z.int().min(3).default(8).describe('Accounts with evidence of their own before a group is called a ring.'),
  core: z.int().min(1).default(5).describe('So many of them must have shown it twice; first queries of tools look alike, too.'),
  crowd: z.int().min(3).default(64).describe('Or so many accounts with evidence, where each was used once.'),
  cap: z.number().min(2).max(1_000).default(30).describe('The most that one query may multiply the evidence by.'),
  junkShare: z
    .number()
    .min(0)
    .max(0.2)
    .default(0.01)
    .describe('Share of queries that may be arbitrarily odd in ordinary traffic, for ever.'),
  inflation: z.number().min(1).default(2).describe("Factor by which the reference profile's tail probabilities may be too small."),
  accounts: z.int().min(64).max(16_384).default(4_096).describe('Accounts remembered for each model; the least recently seen go first.'),
  window: z.int().min(64).max(8_192).default(2_048).describe('Queries of new accounts that are compared with.'),
  oddWindow: z.int().min(64).max(8_192).default(1_024).describe('Odd queries that are compared with.'),
  young: z.int().min(4).default(16).describe('After so many queries without evidence an account is looked at only when a query is odd.'),
})
export type Parameters = z.infer<typeof Parameters>
