import type { Instant, Share, SpendingLine } from '../schemas/index.ts'
import type { Account, Room } from './account.ts'
import { Accounts } from './accounts.ts'
import { Begun } from './begun.ts'
import { partsOf } from './bucket.ts'
import { Failures } from './failures.ts'
import { limitHeaders } from './headers.ts'
import type { Meter, Payer, Reservation, Usage } from './port.ts'
import { factorOf, type LimitRule, measured } from './rules.ts'

export interface MeterOptions {
  readonly rules: readonly LimitRule[]
  /** Of this process, never used before: what a process of the same name was granted is not granted to this one. */
  readonly instance: string
  /** Nodes that are expected at work at once. */
  readonly nodes: number
  /** Once what it was granted is spent and the bus is away: refuse, or go on as if this node were alone. */
  readonly whenAway: 'refuse' | 'local'
  /** Accounts, of each limit and subject one. Default 100,000. */
  readonly maxAccounts?: number
  /** What is to be told should be told soon: a call waits, or is refused for what others may have. */
  readonly onUrgent?: () => void
}

/** Lines of one report. */
const maxLines = 256
/** A call that runs for longer is settled at its most. */
const longestCallMs = 3_600_000
/** Accounts looked at in one report for what people should see, or others could use. */
const sweepLength = 512
const message = 'The allowance is used up: try again later, or ask for less.'
const neverMessage = 'This is more than the allowance holds: ask for less in one request.'

/** The limits at one node. Pure: what was granted comes in by {@link hear}, and what is asked for goes out by {@link report}. */
export class SharedMeter implements Meter {
  readonly #options: MeterOptions
  readonly #accounts: Accounts
  readonly #begun: Begun
  readonly #failures: Failures
  readonly #failureMs: number
  #listed: Account[] = []
  #sweep: IterableIterator<Account> | undefined
  #away = false

  constructor(options: MeterOptions) {
    const { rules, nodes, instance, maxAccounts: most = 100_000 } = options
    this.#options = options
    this.#begun = new Begun(most)
    this.#accounts = new Accounts({ rules, nodes, instance, most, begun: this.#begun, onEvict: (account) => this.#list(account) })
    this.#failures = new Failures(most)
    this.#failureMs = Math.max(0, ...rules.map(({ adaptive }) => adaptive.failures?.windowMs ?? 0))
  }

  get size(): number {
    return this.#accounts.size
  }

  /** Whether this node spends as if it were alone. */
  get alone(): boolean {
    return this.#away && this.#options.whenAway === 'local'
  }

  /** The bus takes nothing, or nobody answers. */
  set away(away: boolean) {
    this.#away = away
  }

  reserve(payer: Payer, most: Usage, now: Instant): Reservation {
    const accounts = this.#accounts.of(payer, now)
    if (accounts.length === 0) return free
    const amounts: number[] = []
    const ceilings: number[] = []
    let tightest: Account | undefined
    let tightestLeft = 0
    let tightestRatio = Number.POSITIVE_INFINITY
    let refused = false
    for (const account of accounts) {
      const { rule } = account
      const wanted = measured(rule, most)
      const ceiling = rule.amount * this.#factor(account, payer, now)
      amounts.push(wanted)
      ceilings.push(ceiling)
      if (!account.room(wanted, ceiling, now, this.alone).ok) refused = true
      const left = account.remaining(ceiling) - wanted
      if (left / rule.amount < tightestRatio) {
        tightestRatio = left / rule.amount
        tightestLeft = left
        tightest = account
      }
    }
    if (refused) return this.#refuse(accounts, payer, most, now)
    for (let i = 0; i < accounts.length; i++) {
      const account = accounts[i]
      if (account === undefined) continue
      account.take(amounts[i] ?? 0, ceilings[i] ?? 0, now)
      if (!account.listed && account.asks(now)) this.#list(account)
    }
    return new Held(accounts, amounts, most, tightest, tightestLeft, now)
  }

  /** A call of a principal failed, by what it asked or by who it said it was. */
  failed(principal: string, now: Instant): void {
    if (this.#failureMs > 0) this.#failures.note(principal, this.#failureMs, now)
  }

  /** The limits under which a refused call would fit, once the nodes agreed on more; empty where waiting is in vain. */
  pending(payer: Payer, most: Usage, now: Instant): readonly Account[] {
    const waiting: Account[] = []
    for (const account of this.#accounts.of(payer, now)) {
      const wanted = measured(account.rule, most)
      const ceiling = account.rule.amount * this.#factor(account, payer, now)
      const room = account.room(wanted, ceiling, now, this.alone)
      if (room.ok) continue
      if (!account.shared || room.never || wanted > account.remaining(ceiling) + account.unknown) return []
      waiting.push(account)
    }
    return waiting
  }

  /** A bucket was shared out before this process began: it has no starter there. */
  note(bucket: string): void {
    this.#begun.note(bucket)
  }

  /** Its window is over. */
  forget(bucket: string): void {
    this.#begun.forget(bucket)
  }

  /** What nodes agreed on. @returns the account that it is about */
  hear(share: Share): Account | undefined {
    const account = this.#accounts.get(`${share.rule}|${share.subject}`)
    return account?.hear(share) === true ? account : undefined
  }

  /** Whether a record is about an account of this node; by its key alone. */
  concerns(bucket: string): boolean {
    return this.#accounts.get(partsOf(bucket).account) !== undefined
  }

  /** What is to be told now: what is asked for first, then what was spent. Empty when there is nothing. */
  report(now: Instant): readonly SpendingLine[] {
    for (let i = 0; i < sweepLength; i++) {
      this.#sweep ??= this.#accounts.values()
      const next = this.#sweep.next()
      if (next.done === true) {
        this.#sweep = undefined
        break
      }
      if (next.value.tells(now)) this.#list(next.value)
    }
    const telling = this.#listed.slice(0, maxLines)
    this.#listed = this.#listed.slice(maxLines)
    return telling.map((account) => {
      account.listed = false
      return account.line(now)
    })
  }

  #factor({ rule }: Account, payer: Payer, now: Instant): number {
    const { failures } = rule.adaptive
    return factorOf(rule, payer, failures === null ? 0 : this.#failures.of(payer.principal, failures.windowMs, now), now)
  }

  #refuse(accounts: readonly Account[], payer: Payer, most: Usage, now: Instant): Reservation {
    let worst:
      | { readonly account: Account; readonly room: Room & { ok: false }; readonly left: number; readonly resetMs: number }
      | undefined
    const policies: string[] = []
    for (const account of accounts) {
      const wanted = measured(account.rule, most)
      const ceiling = account.rule.amount * this.#factor(account, payer, now)
      const room = account.room(wanted, ceiling, now, this.alone)
      if (room.ok) continue
      policies.push(account.rule.name)
      account.want(wanted, ceiling, now)
      if (!account.listed && account.asks(now)) this.#list(account)
      if (worst === undefined || rankOf(room) > rankOf(worst.room)) {
        worst = { account, room, left: account.remaining(ceiling), resetMs: account.end - now }
      }
    }
    const { retryMs, never } = worst?.room ?? { retryMs: 0, never: false }
    const seconds = String(Math.max(1, Math.ceil(retryMs / 1_000)))
    const headers = worst === undefined ? {} : { 'retry-after': seconds, ...headersOf(worst.account, worst.left, worst.resetMs) }
    return { ok: false, retryMs, never, message: never ? neverMessage : message, headers, policies }
  }

  #list(account: Account): void {
    if (account.listed) return
    account.listed = true
    this.#listed.push(account)
    this.#options.onUrgent?.()
  }
}

/** Nothing limits this call. */
const free: Reservation = { ok: true, headers: {}, settle: () => {} }

/** Room that was taken. What it knows is little, since there is one for each request. */
class Held {
  readonly ok = true as const
  readonly #accounts: readonly Account[]
  readonly #amounts: readonly number[]
  readonly #starts: readonly Instant[]
  readonly #most: Usage
  readonly #tightest: Account | undefined
  readonly #left: number
  readonly #at: Instant
  #settled = false

  constructor(
    accounts: readonly Account[],
    amounts: readonly number[],
    most: Usage,
    tightest: Account | undefined,
    left: number,
    at: Instant,
  ) {
    this.#accounts = accounts
    this.#amounts = amounts
    this.#starts = accounts.map(({ start }) => start)
    this.#most = most
    this.#tightest = tightest
    this.#left = left
    this.#at = at
  }

  /** Made when they are looked at. */
  get headers(): Readonly<Record<string, string>> {
    return this.#tightest === undefined ? {} : headersOf(this.#tightest, this.#left, this.#tightest.end - this.#at)
  }

  /** A property, so that it may be handed on by itself. */
  readonly settle = (used: Usage, now: Instant): void => {
    if (this.#settled) return
    this.#settled = true
    const late = now - this.#at > longestCallMs
    for (let i = 0; i < this.#accounts.length; i++) {
      const account = this.#accounts[i]
      if (account === undefined) continue
      const aside = this.#amounts[i] ?? measured(account.rule, this.#most)
      const difference = measured(account.rule, used) - aside
      account.settle(aside, late ? Math.max(0, difference) : difference, this.#starts[i] ?? 0)
    }
  }
}

function headersOf(account: Account, left: number, resetMs: number): Readonly<Record<string, string>> {
  return limitHeaders(account.rule, account.end - account.start, left, resetMs)
}

/** Which refusal is told: what never fits before the longest wait, which would be in vain. */
function rankOf({ retryMs, never }: { readonly retryMs: number; readonly never: boolean }): number {
  return never ? Number.POSITIVE_INFINITY : retryMs
}
