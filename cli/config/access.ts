import { z } from 'zod'
import { CertificateRule } from '../../access/certificates.ts'
import { IssuerSettings } from '../../access/oidc/settings.ts'
import { administratorSettings, tokenSettings } from './administrators.ts'

/** Who may call besides the holders of API keys, and how often one may fail. */
export const Access = z
  .strictObject({
    ...administratorSettings,
    tokens: tokenSettings,
    issuers: z
      .array(IssuerSettings)
      .max(64)
      .default([])
      .refine((issuers) => allDiffer(issuers.map(({ alias }) => alias)), 'each alias may be used once')
      .refine((issuers) => allDiffer(issuers.map(({ issuer }) => issuer)), 'each issuer may be named once')
      .describe('whose JWT bearers count (OIDC, OAuth 2.0), beside API keys'),
    certificates: z
      .array(CertificateRule)
      .max(1_024)
      .default([])
      .describe('callers by their client certificate, the first rule that fits (inference.tls.clientAuth)'),
    failures: z
      .strictObject({
        perMinute: z
          .int()
          .min(0)
          .default(60)
          .describe(
            'refused credentials a minute from one address (a /64 of IPv6), beyond which it gets 429; 0 is any. Set inference.trustedProxies first: else all clients have the address of the proxy',
          ),
        maxSources: z.int().min(16).default(10_000).describe('addresses that are kept in mind'),
        linesPerMinute: z.int().min(0).default(60).describe('lines of log about them, over all addresses; each has one a minute at most'),
      })
      .prefault({}),
    maxTokens: z.int().min(16).default(10_000).describe('verified JWTs in memory, so that each is verified once'),
    maxTokenBytes: z.int().min(512).max(16_384).default(8_192).describe('length of a JWT'),
  })
  .prefault({})

function allDiffer(names: readonly string[]): boolean {
  return new Set(names).size === names.length
}

/** TLS of a listening port. */
export const Tls = z
  .strictObject({
    certFile: z.string().min(1).describe('PEM of the certificate, and of those between it and its authority'),
    keyFile: z.string().min(1).describe('PEM of its key'),
    clientCaFile: z.string().min(1).nullable().default(null).describe('PEM of the authorities of client certificates'),
    clientAuth: z
      .enum(['none', 'optional', 'required'])
      .default('none')
      .describe('whether clients are asked for a certificate; required ends connections without one'),
    reloadMs: z.int().min(1_000).default(10_000).describe('how often the files are read again; a renewed certificate needs no restart'),
  })
  .refine(({ clientAuth, clientCaFile }) => clientAuth === 'none' || clientCaFile !== null, 'clientAuth needs a clientCaFile')
  .nullable()
  .default(null)
