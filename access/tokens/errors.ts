import { CordonError } from '../../schemas/index.ts'

/** RFC 6749 section 5.2; `temporarily_unavailable` is for who tried too often. */
export type TokenErrorCode = 'invalid_request' | 'invalid_client' | 'invalid_scope' | 'unsupported_grant_type' | 'temporarily_unavailable'

export class TokenError extends CordonError<TokenErrorCode> {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>

  constructor(code: TokenErrorCode, message: string, status = 400, headers: Readonly<Record<string, string>> = {}) {
    super(code, message)
    this.status = status
    this.headers = headers
  }
}
