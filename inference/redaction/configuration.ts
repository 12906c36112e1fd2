import { isSupportedCountry } from 'libphonenumber-js/max'
import { z } from 'zod'
import { builtinKinds } from './finding.ts'
import { compilePattern } from './pattern.ts'

const PatternConfiguration = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,31}$/, 'small letters, digits and hyphens, beginning with a letter')
    .refine((name) => !builtinKinds.some((kind) => kind === name), 'a kind has that name')
    .describe('stands in masks in capitals, and in metrics'),
  expression: z
    .string()
    .min(1)
    .superRefine((source, context) => {
      const pattern = compilePattern(source)
      if (typeof pattern === 'string') context.addIssue({ code: 'custom', message: `the expression ${pattern}` })
    })
    .describe('of JavaScript, without * and +, and with counts of at most 64: EMP-\\d{6}'),
})

/** What becomes of personal data and secrets in texts that a model reads and says. */
export const RedactionConfiguration = z
  .strictObject({
    input: z
      .enum(['off', 'mask', 'token', 'refuse'])
      .default('off')
      .describe('before the model reads it: mask writes [EMAIL], token a name of its own such as [EMAIL_3f2a], refuse answers with 400'),
    output: z
      .enum(['off', 'mask', 'restore'])
      .default('off')
      .describe('in answers: mask hides what the model says of it, restore writes what the tokens stand for'),
    kinds: z
      .array(z.enum(builtinKinds))
      .default([...builtinKinds])
      .describe('what is looked for'),
    patterns: z.array(PatternConfiguration).max(16).default([]).describe('what else is looked for'),
    country: z
      .string()
      .refine((country) => isSupportedCountry(country), 'expected a country of two letters, such as DE')
      .nullable()
      .default('US')
      .describe('of phone numbers that name none (ISO 3166-1); null finds those alone that begin with +'),
  })
  .refine(({ input, output }) => output !== 'restore' || input === 'token', 'output: restore needs input: token')
  .refine(({ patterns }) => new Set(patterns.map(({ name }) => name)).size === patterns.length, 'each pattern must have a name of its own')
export type RedactionConfiguration = z.infer<typeof RedactionConfiguration>

/** What becomes of characters that nobody sees, and that models read. */
export const SanitiseConfiguration = z.strictObject({
  input: z
    .enum(['off', 'strip', 'refuse'])
    .default('off')
    .describe('control characters, bidirectional overrides, and invisible characters where no script or emoji needs them'),
  output: z.enum(['off', 'strip']).default('off').describe('the same in answers'),
})
export type SanitiseConfiguration = z.infer<typeof SanitiseConfiguration>
