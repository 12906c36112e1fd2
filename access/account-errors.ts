import { CordonError } from '../schemas/index.ts'

/**
 * What can go wrong with local accounts.
 *
 * - `ACCOUNTS_UNREADABLE`: the file is there, but torn, not ours, or open to others; nobody is let in by it.
 * - `ACCOUNT_EXISTS`, `ACCOUNT_NOT_FOUND`, `ACCOUNT_INVALID`, `ACCOUNT_LIMIT`: the change was not made.
 * - `ENROLMENT`: the account has a second factor already, or none was begun.
 * - `CODE_REFUSED`: the code is not the one that the authenticator shows.
 */
export type AccountErrorCode =
  | 'ACCOUNTS_UNREADABLE'
  | 'ACCOUNT_EXISTS'
  | 'ACCOUNT_NOT_FOUND'
  | 'ACCOUNT_INVALID'
  | 'ACCOUNT_LIMIT'
  | 'ENROLMENT'
  | 'CODE_REFUSED'

export class AccountError extends CordonError<AccountErrorCode> {
  constructor(code: AccountErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.name = 'AccountError'
  }
}
