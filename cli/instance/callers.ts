import type { BearerVerifier } from '../../access/bearer-verifier.ts'
import { openAuthenticator } from '../../access/callers.ts'
import { openCertificates } from '../../access/certificates.ts'
import { Failures } from '../../access/failures.ts'
import type { Authenticator } from '../../access/identity.ts'
import type { KeyRegistry } from '../../access/key-registry.ts'
import { openDownloads } from '../../access/oidc/download.ts'
import { OidcIssuer } from '../../access/oidc/issuer.ts'
import { openPseudonyms, plainAddress } from '../../inference/server/pseudonym.ts'
import type { Context } from './context.ts'
import type { NodeSecrets } from './secrets.ts'

type CallersContext = Pick<Context, 'config' | 'clock' | 'registry' | 'log' | 'closers' | 'warn'>

export interface CallersParts {
  readonly keys: KeyRegistry
  /** Of tokens that we issue ourselves. */
  readonly tokens?: BearerVerifier | undefined
}

/** Who calls: API keys, our own tokens, the issuers and certificates of the configuration. An issuer that is away delays nothing. */
export function openCallers(
  context: CallersContext,
  secrets: Pick<NodeSecrets, 'addressKey'>,
  { keys, tokens }: CallersParts,
): Authenticator {
  const { config, clock, registry, log, closers, warn } = context
  const { issuers, certificates, failures, maxTokens, maxTokenBytes } = config.access
  const downloads = closers.keep('downloads of issuers', openDownloads())
  const oidc = issuers.map((settings) => {
    const onError = warn(`the keys of the issuer ${settings.alias} could not be fetched`)
    return new OidcIssuer({ settings, download: downloads.download, clock, onError })
  })
  for (const issuer of oidc) issuer.start(clock())
  const pseudonym = openPseudonyms(secrets.addressKey)
  return openAuthenticator({
    keys,
    oidc,
    certificates: openCertificates(certificates),
    tokens,
    failures: new Failures(failures),
    pseudonym: (address) => pseudonym('address', plainAddress(address)),
    log,
    registry,
    maxTokens,
    maxTokenBytes,
  })
}
