import type { Instant } from '../schemas/index.ts'
import { Account } from './account.ts'
import type { Begun } from './begun.ts'
import { bucketOf } from './bucket.ts'
import type { Payer } from './port.ts'
import { type LimitRule, matcherOf, subjectOf, windowAt } from './rules.ts'

export interface AccountsOptions {
  readonly rules: readonly LimitRule[]
  readonly nodes: number
  readonly instance: string
  readonly most: number
  readonly begun: Begun
  /** Told of an account that makes room, so that the others learn what it will not spend. */
  readonly onEvict: (account: Account) => void
}

interface Compiled {
  readonly rule: LimitRule
  readonly matches: (payer: Payer) => boolean
  /** Accounts of this rule were forgotten whose window lasts until then: a new one may be one of them, and begins with nothing. */
  forgotUntil: Instant
}

/** An account used within that time is not evicted while another is there. */
const inUseMs = 10_000
const longestSearch = 8

/** The accounts that a payer's calls take from: found in one look-up once they are known, and bounded. */
export class Accounts {
  readonly #options: AccountsOptions
  readonly #rules: readonly Compiled[]
  readonly #byKey = new Map<string, Account>()
  /** One for all evictions, as in `LastUsed`: whatever it passed is deleted, or set anew behind it. */
  readonly #eldest = this.#byKey.entries()
  /** Only a short way to `#byKey`: whatever is in it may be forgotten. */
  #byPayer = new Map<string, readonly Account[]>()
  #serial = 0

  constructor(options: AccountsOptions) {
    this.#options = options
    this.#rules = options.rules.map((rule) => ({ rule, matches: matcherOf(rule), forgotUntil: 0 }))
  }

  get size(): number {
    return this.#byKey.size
  }

  values(): IterableIterator<Account> {
    return this.#byKey.values()
  }

  /** By `rule|subject`. */
  get(key: string): Account | undefined {
    return this.#byKey.get(key)
  }

  /** As of now: windows that are over have been replaced. */
  of(payer: Payer, now: Instant): readonly Account[] {
    const { principal, organization, keyId, model } = payer
    const name = `${principal}|${organization ?? ''}|${keyId ?? ''}|${model}`
    let found = this.#byPayer.get(name)
    if (found === undefined || anyClosed(found)) {
      found = this.#find(payer, now)
      // All at once, since nothing is lost by it: keeping an order would cost every call.
      if (this.#byPayer.size >= this.#options.most) this.#byPayer = new Map()
      this.#byPayer.set(name, found)
    }
    for (const account of found) account.roll(now)
    return found
  }

  #find(payer: Payer, now: Instant): readonly Account[] {
    const found: Account[] = []
    for (const compiled of this.#rules) {
      if (!compiled.matches(payer)) continue
      const subject = subjectOf(compiled.rule, payer)
      if (subject !== null) found.push(this.#account(compiled, subject, now))
    }
    return found
  }

  #account(compiled: Compiled, subject: string, now: Instant): Account {
    const key = `${compiled.rule.name}|${subject}`
    const known = this.#byKey.get(key)
    if (known !== undefined) return known
    const { nodes, instance, most, begun } = this.#options
    const { rule, forgotUntil } = compiled
    const forgotten = now < forgotUntil
    const bucket = bucketOf(rule.name, subject, windowAt(rule, now).start)
    const serial = forgotten || begun.has(bucket) ? ++this.#serial : 0
    const account = new Account({ rule, subject, nodes, instance }, serial, now, forgotten)
    account.touched = now
    if (this.#byKey.size >= most) this.#evict(now)
    this.#byKey.set(key, account)
    return account
  }

  #evict(now: Instant): void {
    for (let looked = 1; ; looked++) {
      const { value, done } = this.#eldest.next()
      if (done === true) return
      const [key, account] = value
      this.#byKey.delete(key)
      if (looked < longestSearch && now - account.touched < inUseMs) {
        this.#byKey.set(key, account)
        continue
      }
      account.closed = true
      const compiled = this.#rules.find(({ rule }) => rule === account.rule)
      if (compiled !== undefined) compiled.forgotUntil = Math.max(compiled.forgotUntil, account.end)
      if (account.shared) this.#options.onEvict(account)
      return
    }
  }
}

function anyClosed(accounts: readonly Account[]): boolean {
  for (const { closed } of accounts) if (closed) return true
  return false
}
