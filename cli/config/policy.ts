import { z } from 'zod'

/** Whether callers may: in the configuration file under `policy`. */
export const PolicyConfiguration = z.strictObject({
  engine: z
    .enum(['cedar', 'opa', 'none'])
    .default('cedar')
    .describe('what decides whether a caller may: Cedar in this process, an Open Policy Agent, or nothing but what its credential is for'),
  dir: z
    .string()
    .nullable()
    .default(null)
    .describe('cedar: folder of policies (*.cedar), read again when they change; null is the default set, which lets every caller infer'),
  opa: z
    .strictObject({
      url: z
        .url({ protocol: /^https?$/ })
        .default('http://127.0.0.1:8181')
        .describe('base address of the agent'),
      path: z
        .string()
        .regex(/^[^/?#\s][^?#\s]*$/, 'a path without its first slash, such as cordon/decision')
        .default('cordon/decision')
        .describe('of the document that decides: true or false, or an object with allow and, if you like, policies'),
      tokenFile: z.string().nullable().default(null).describe('file with the bearer token that it wants'),
      deadlineMs: z.int().min(1).max(10_000).default(50).describe('how long a decision may take; beyond it nothing is allowed'),
    })
    .prefault({}),
  countryDatabase: z
    .string()
    .nullable()
    .default(null)
    .describe('MaxMind database (MMDB) that tells the country of an address; without it no country is known'),
  secondFactorMs: z.int().min(1_000).default(900_000).describe('how long a second factor counts after it was proved'),
})
export type PolicyConfiguration = z.infer<typeof PolicyConfiguration>
