import { CordonError } from '../schemas/index.ts'

/**
 * What can go wrong with API keys.
 *
 * - `KEY_LIMIT`: the registry holds as many keys as it may; nothing was made.
 * - `KEY_INVALID`: what was ordered to be put on record is not a new key.
 * - `PRINCIPAL_INVALID`: the principal, the organization or the expiry cannot belong to a key.
 * - `KEY_NOT_VISIBLE`: the key was made durable, but this process's view did not show it in time; it may appear later.
 * - `CLOSED`: the registry is closed.
 */
export type AccessErrorCode = 'KEY_LIMIT' | 'KEY_INVALID' | 'PRINCIPAL_INVALID' | 'KEY_NOT_VISIBLE' | 'CLOSED'

export class AccessError extends CordonError<AccessErrorCode> {
  constructor(code: AccessErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'AccessError'
  }
}
