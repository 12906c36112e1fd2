import { z } from 'zod'
import { isSafe } from '../../access/oidc/settings.ts'

/** Settings of `access` about local accounts and privileged actions. */
export const administratorSettings = {
  accountsFile: z
    .string()
    .min(1)
    .nullable()
    .default(null)
    .describe('local accounts of the console, made with `cordon accounts create`; null is accounts.json under dataDir'),
  secondFactor: z
    .enum(['accounts', 'required'])
    .default('accounts')
    .describe(
      "who must prove a second factor to release, promote, and make, rotate or claim a key for another: accounts and users of an identity provider, or everybody, so that the machine's token cannot",
    ),
  secondFactorMs: z.int().min(0).max(3_600_000).default(300_000).describe('how long a proof counts; 0 asks for a code each time'),
}

/** OAuth 2.0 client credentials at the inference node: short-lived tokens for the holders of keys. */
export const tokenSettings = z
  .strictObject({
    issuer: z
      .url({ protocol: /^https?$/ })
      .refine(
        (url) => isSafe(url) && !/[?#]/.test(url) && !url.endsWith('/'),
        'write an https address without a / at its end; http is for this machine alone',
      )
      .nullable()
      .default(null)
      .describe('address of the nodes as clients see it, such as https://models.example.com; null: POST /oauth2/token issues nothing'),
    audience: z.string().min(1).max(256).default('cordon').describe('`aud` of the tokens: a name of this deployment that no other has'),
    lifeMs: z.int().min(60_000).max(3_600_000).default(900_000).describe('how long a token lives; it dies with its key in any case'),
  })
  .prefault({})
