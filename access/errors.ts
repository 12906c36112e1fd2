import { CordonError } from '../schemas/index.ts'

/**
 * What can go wrong with API keys and with those who say who calls.
 *
 * - `KEY_LIMIT`: the registry holds as many keys as it may; nothing was made.
 * - `KEY_INVALID`: what was ordered to be put on record is not a new key.
 * - `PRINCIPAL_INVALID`: the principal, the organization or the expiry cannot belong to a key.
 * - `KEY_NOT_VISIBLE`: the key was made durable, but this process's view did not show it in time; it may appear later.
 * - `ISSUER_UNUSABLE`: an issuer of tokens answered, but not with what its tokens could be verified by; its old keys go on for a while.
 * - `CLOSED`: the registry is closed.
 */
export type AccessErrorCode = 'KEY_LIMIT' | 'KEY_INVALID' | 'PRINCIPAL_INVALID' | 'KEY_NOT_VISIBLE' | 'ISSUER_UNUSABLE' | 'CLOSED'

export class AccessError extends CordonError<AccessErrorCode> {
  constructor(code: AccessErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'AccessError'
  }
}
