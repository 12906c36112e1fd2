import { z } from 'zod'
import { Capability, type Instant, Name } from '../schemas/index.ts'
import type { Authentication, ClientCertificate, Identity } from './identity.ts'

/** Whose certificate it is: all that is given must be the certificate's own, exactly. */
export const CertificateRule = z
  .strictObject({
    fingerprint: z
      .string()
      .regex(/^(?:[0-9a-f]{2}:?){31}[0-9a-f]{2}$/i, 'SHA-256 of the certificate, hex, with or without colons')
      .transform((text) => text.replaceAll(':', '').toLowerCase())
      .optional()
      .describe('SHA-256 of the certificate; it changes when it is renewed'),
    uri: z.string().min(1).max(2_048).optional().describe('a URI among its alternative names, such as spiffe://example.org/batch'),
    dns: z.string().min(1).max(253).optional().describe('a DNS name among them, exactly as it stands there'),
    commonName: z.string().min(1).max(64).optional().describe('the common name of its subject'),
    principal: Name.refine((name) => name !== 'anonymous', 'anonymous stands for requests without a credential').describe('who it is'),
    organization: Name.nullable().default(null).describe('the organization they belong to'),
    roles: z.array(Name).max(64).default([]).describe('roles that policies see'),
    capabilities: z.array(Capability).max(8).default(['inference']).describe('what it may be used for'),
  })
  .refine(
    ({ fingerprint, uri, dns, commonName }) => [fingerprint, uri, dns, commonName].some((given) => given !== undefined),
    'give a fingerprint, a uri, a dns name or a commonName',
  )
export type CertificateRule = z.infer<typeof CertificateRule>

/** Certificates that TLS verified, as callers. */
export interface Certificates {
  authenticate(certificate: ClientCertificate, now: Instant): Authentication
}

/**
 * The first rule that fits says who it is. Whoever the authority signed and no rule names is unknown: to be let in by a rule alone is
 * what makes an authority that signs for others too harmless.
 */
export function openCertificates(rules: readonly CertificateRule[]): Certificates {
  // A connection has one certificate object, and many requests; what comes of it is made once for each.
  const known = new WeakMap<ClientCertificate, Identity>()
  return {
    authenticate(certificate, now) {
      if (now < certificate.validFrom) return { ok: false, reason: 'not-yet-valid' }
      if (now >= certificate.validTo) return { ok: false, reason: 'expired' }
      const before = known.get(certificate)
      if (before !== undefined) return { ok: true, identity: before }
      const rule = rules.find((one) => fits(one, certificate))
      if (rule === undefined) return { ok: false, reason: 'unknown' }
      const identity = identityOf(rule, certificate)
      known.set(certificate, identity)
      return { ok: true, identity }
    },
  }
}

function fits({ fingerprint, uri, dns, commonName }: CertificateRule, certificate: ClientCertificate): boolean {
  const names = certificate.alternativeNames
  return (
    (fingerprint === undefined || fingerprint === certificate.fingerprint) &&
    (uri === undefined || names.includes(`URI:${uri}`)) &&
    (dns === undefined || names.includes(`DNS:${dns}`)) &&
    (commonName === undefined || commonName === certificate.commonName)
  )
}

function identityOf({ principal, organization, roles, capabilities }: CertificateRule, certificate: ClientCertificate): Identity {
  return {
    ...{ principal, organization, roles, capabilities },
    method: 'certificate',
    keyId: certificate.fingerprint.slice(0, 32),
    createdAt: certificate.validFrom,
    expiresAt: certificate.validTo,
    secondFactorAt: null,
  }
}
