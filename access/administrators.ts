import { hash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { z } from 'zod'
import { Instant, Name } from '../schemas/index.ts'
import { AccountError } from './account-errors.ts'
import { newSecret } from './keys.ts'
import { newTotpSecret, stepOfCode, totpUri } from './totp.ts'

/** Accounts are for people and their scripts; revoked ones stay, so that a name on record never changes hands. */
const maxAccounts = 256
const tokenPattern = /^cordon_acct_[0-9A-Za-z]{43}$/

const Account = z.strictObject({
  name: Name,
  /** SHA-256 of the whole token, hex: it has 256 random bits. */
  tokenHash: z.string().regex(/^[0-9a-f]{64}$/),
  capabilities: z.array(z.enum(['administration', 'promotion'])).max(2),
  roles: z.array(Name).max(32),
  createdAt: Instant,
  expiresAt: Instant.nullable(),
  revokedAt: Instant.nullable(),
  /**
   * Where its codes come from; null without. As it is, since codes cannot be checked against a hash: the file is what
   * keeps it. `step`: of the code that proved it was set up; null until then.
   */
  totp: z.strictObject({ secret: z.string().regex(/^[A-Z2-7]{32}$/), step: z.int().nullable() }).nullable(),
})
export type Account = z.infer<typeof Account>
const Kept = z.strictObject({ accounts: z.array(Account).max(maxAccounts) })

/** An account as people may see it. */
export type AccountView = Omit<Account, 'tokenHash' | 'totp'> & { readonly secondFactor: 'none' | 'begun' | 'enrolled' }

export interface AdministratorsOptions {
  /** Where accounts are kept; without the file there are none. */
  readonly file: string
  /** Writes a file whole or not at all, readable by its owner alone. */
  readonly write: (file: string, text: string) => void
  /** Told when the file cannot be read: then nobody is let in by an account. */
  readonly onError?: (error: unknown) => void
}

export type NewAccount = Pick<Account, 'name' | 'capabilities' | 'roles' | 'expiresAt'>

/**
 * Local accounts of administrators. The file is looked at whenever an account is asked for, so that another process's
 * change counts at once. Errors: {@link AccountError}.
 */
export class Administrators {
  readonly #options: AdministratorsOptions
  /** As the file was read last, and by what it is known not to have changed. */
  #known: { readonly stamp: string; readonly accounts: readonly Account[] } = { stamp: '', accounts: [] }

  constructor(options: AdministratorsOptions) {
    this.#options = options
  }

  list(): readonly AccountView[] {
    return this.#read().map(({ name, capabilities, roles, createdAt, expiresAt, revokedAt, totp }) => {
      const secondFactor = totp === null ? 'none' : totp.step === null ? 'begun' : 'enrolled'
      return { name, capabilities, roles, createdAt, expiresAt, revokedAt, secondFactor }
    })
  }

  /** Revoked ones too. Undefined also where the file cannot be read. */
  get(name: string): Account | undefined {
    return this.#readOrNone().find((account) => account.name === name)
  }

  /** The account whose token this is, where it works. Every account is compared with, so that time tells nothing. */
  authenticate(bearer: string, now: Instant): Account | null {
    const given = hash('sha256', bearer, 'buffer')
    let found: Account | null = null
    for (const account of this.#readOrNone()) {
      if (timingSafeEqual(given, Buffer.from(account.tokenHash, 'hex'))) found = account
    }
    return found !== null && tokenPattern.test(bearer) && isGood(found, now) ? found : null
  }

  /** The token exists here and nowhere else. */
  create({ name, capabilities, roles, expiresAt }: NewAccount, now: Instant): { readonly account: Account; readonly token: string } {
    const accounts = this.#read()
    if (accounts.some((account) => account.name === name))
      throw new AccountError('ACCOUNT_EXISTS', `Making the account ${name}: there is one, or was; what it did is on record under its name.`)
    if (accounts.length >= maxAccounts)
      throw new AccountError('ACCOUNT_LIMIT', `Making the account ${name}: there are ${maxAccounts} accounts, revoked ones included.`)
    const token = `cordon_acct_${newSecret()}`
    const account = Account.safeParse({
      ...{ name, capabilities, roles, expiresAt, createdAt: now, revokedAt: null, totp: null },
      tokenHash: hash('sha256', token, 'hex'),
    })
    if (!account.success) throw new AccountError('ACCOUNT_INVALID', `Making the account: ${z.prettifyError(account.error)}`)
    if (expiresAt !== null && expiresAt <= now) throw new AccountError('ACCOUNT_INVALID', 'Making the account: it would have expired.')
    this.#write([...accounts, account.data])
    return { account: account.data, token }
  }

  /** Ends it; doing it again changes nothing. */
  revoke(name: string, now: Instant): void {
    this.#change(name, (account) => ({ ...account, revokedAt: account.revokedAt ?? now, totp: null }))
  }

  /** Begins to set up a second factor. Begun again, what was begun before is void. */
  enrol(name: string): { readonly secret: string; readonly uri: string } {
    const secret = newTotpSecret()
    this.#change(name, (account) => {
      if (account.totp !== null && account.totp.step !== null)
        throw new AccountError('ENROLMENT', `${name} has a second factor: remove it first with \`cordon accounts reset-totp ${name}\`.`)
      return { ...account, totp: { secret, step: null } }
    })
    return { secret, uri: totpUri(name, secret) }
  }

  /** Ends setting it up: the first code shows that the authenticator has the secret and the time. */
  confirm(name: string, code: string, now: Instant): void {
    this.#change(name, (account) => {
      if (account.totp === null || account.totp.step !== null)
        throw new AccountError('ENROLMENT', `Nothing to confirm for ${name}: begin with \`cordon accounts enrol ${name}\`.`)
      const step = stepOfCode(account.totp.secret, code, now)
      if (step === null)
        throw new AccountError('CODE_REFUSED', 'That is not the code of this moment: enter the next one, and compare the clocks.')
      return { ...account, totp: { ...account.totp, step } }
    })
  }

  resetTotp(name: string): void {
    this.#change(name, (account) => ({ ...account, totp: null }))
  }

  #change(name: string, change: (account: Account) => Account): void {
    const accounts = this.#read()
    const known = accounts.find((account) => account.name === name)
    if (known === undefined) throw new AccountError('ACCOUNT_NOT_FOUND', `There is no account ${name} in ${this.#options.file}.`)
    const changed = change(known)
    this.#write(accounts.map((account) => (account === known ? changed : account)))
  }

  #write(accounts: readonly Account[]): void {
    this.#options.write(this.#options.file, `${JSON.stringify({ accounts }, null, 2)}\n`)
  }

  #readOrNone(): readonly Account[] {
    try {
      return this.#read()
    } catch (error) {
      this.#options.onError?.(error)
      return []
    }
  }

  #read(): readonly Account[] {
    const { file } = this.#options
    const found = statSync(file, { throwIfNoEntry: false })
    if (found === undefined) return []
    const { mode, ino, mtimeMs, size } = found
    if ((mode & 0o077) !== 0) throw unreadable(file, 'others can read or write it, and it holds secrets: chmod 600 it')
    // It is replaced, never written in place: a change has another inode.
    const stamp = `${ino}/${mtimeMs}/${size}`
    if (stamp !== this.#known.stamp) this.#known = { stamp, accounts: parse(file) }
    return this.#known.accounts
  }
}

export function isGood({ revokedAt, expiresAt }: Account, now: Instant): boolean {
  return revokedAt === null && (expiresAt === null || now < expiresAt)
}

function parse(file: string): readonly Account[] {
  try {
    return Kept.parse(JSON.parse(readFileSync(file, 'utf8'))).accounts
  } catch (cause) {
    // What could not be parsed is quoted by who tried: a bit of a secret, on its way to a log.
    throw unreadable(file, cause instanceof z.ZodError ? z.prettifyError(cause) : 'it is not as `cordon accounts` writes it')
  }
}

function unreadable(file: string, why: string): AccountError {
  return new AccountError('ACCOUNTS_UNREADABLE', `Reading the accounts in ${file}: ${why}.`)
}
