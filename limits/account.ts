import type { Instant, Share, SpendingLine } from '../schemas/index.ts'
import { bucketOf } from './bucket.ts'
import { type LimitRule, windowAt } from './rules.ts'
import { evenPart, isShared, starterOf } from './starter.ts'

/** Demand is forgotten by half in that time. */
const memoryMs = 1_000
/** An answer may take that long before the question is put again. */
const askAgainMs = 1_000
/** Who is refused for what running calls hold, or nodes have yet to share out, may come back after that time. */
const soonMs = 1_000
/** What is spent is told this often, so that people can see it. */
const tellMs = 5_000
/** Who was idle for that long gives back what others may need. */
const idleMs = 2_000
/** Rounding of sums of costs. */
const tolerance = 1e-9

/** Why something does not fit, and when it might: `ask` once the nodes agreed on more, else at a moment. */
export type Room = { readonly ok: true } | { readonly ok: false; readonly retryMs: number; readonly never: boolean }

const fits: Room = { ok: true }

export interface AccountOptions {
  readonly rule: LimitRule
  readonly subject: string
  readonly nodes: number
  /** Of this process, never used before. */
  readonly instance: string
}

/**
 * What one node spent, and may spend, of one rule's window for one subject. Pure. What is reserved counts as spent until
 * it is settled: so a call that never settles is settled at its most.
 */
export class Account {
  readonly rule: LimitRule
  readonly subject: string
  readonly shared: boolean
  readonly #options: AccountOptions
  start: Instant = 0
  end: Instant = 0
  spent = 0
  /** Of `spent`, what is set aside for calls that run: they may take less. */
  #held = 0
  touched: Instant = 0
  /** It was evicted: whoever still has it looks for a new one. */
  closed = false
  /** In the meter's list of what is to be told. */
  listed = false
  #key = ''
  #line = ''
  #granted = 0
  #released = 0
  /** Of the whole ceiling, granted to nobody; null while unknown. */
  #left: number | null = null
  /** Of other nodes: what they may have spent. */
  #others = 0
  #ceiling: number
  #recent = 0
  #recentAt: Instant = 0
  #last = 0
  /** The largest lately. */
  #call = 0
  #askedAt: Instant = Number.NEGATIVE_INFINITY
  #answered = false
  #toldAt: Instant = 0
  #toldSpent = 0
  #burstFullAt: Instant = 0

  /**
   * @param serial 0 for the first of its kind in this window, which begins with a starter; another has none
   * @param forgotten one like it was evicted
   */
  constructor(options: AccountOptions, serial: number, now: Instant, forgotten = false) {
    this.#options = options
    this.rule = options.rule
    this.subject = options.subject
    this.shared = isShared(options.rule)
    this.#ceiling = options.rule.amount
    this.#open(serial, now)
    if (!forgotten) return
    // What was forgotten may have been spent.
    const { amount, burst } = this.rule
    if (!this.shared) this.spent = this.#granted
    if (burst !== null) this.#burstFullAt = now + (burst / amount) * (this.end - this.start)
  }

  get key(): string {
    return this.#key
  }

  /** Granted and not spent. */
  get unspent(): number {
    return this.#granted - this.#released - this.spent
  }

  /** More may be there than this node knows of: nobody told it yet. */
  get unknown(): number {
    return this.#left === null ? Number.POSITIVE_INFINITY : 0
  }

  /** Of the whole ceiling, what this subject may still spend, as far as this node knows. */
  remaining(ceiling: number): number {
    if (!this.shared) return Math.max(0, Math.min(this.unspent, ceiling - this.spent))
    return Math.max(0, Math.min(this.unspent + (this.#left ?? 0), ceiling - this.#others - this.spent))
  }

  /** Begins the next window when the time has come. A clock that is set back within reason stays in the newest. */
  roll(now: Instant): void {
    if (now >= this.end) this.#open(0, now)
  }

  /** Whether `wanted` fits; takes nothing. @param away the nodes cannot agree, and each may go on as if it were alone */
  room(wanted: number, ceiling: number, now: Instant, away: boolean): Room {
    const slack = ceiling * tolerance
    if (wanted > ceiling + slack || (this.rule.burst !== null && wanted > this.rule.burst + slack)) return this.#full(now, true)
    const over = this.#others + this.spent + wanted - ceiling
    if (over > slack) return this.#lacks(over - slack, now)
    const lacks = wanted - this.unspent - slack
    if (lacks > 0 && !(away && this.shared)) {
      if (!this.shared && wanted > this.#granted + slack) return this.#full(now, true)
      return this.#lacks(lacks - (this.shared ? (this.#left ?? lacks) : 0), now)
    }
    const waitMs = this.#burstWait(wanted, now)
    return waitMs > 0 ? { ok: false, retryMs: waitMs, never: false } : fits
  }

  take(wanted: number, ceiling: number, now: Instant): void {
    this.spent += wanted
    this.#held += wanted
    const { burst, amount } = this.rule
    if (burst !== null) this.#burstFullAt = Math.max(this.#burstFullAt, now) + (wanted * (this.end - this.start)) / amount
    this.want(wanted, ceiling, now)
    this.#claim()
  }

  /** Someone asked for it, whether it was there or not. */
  want(wanted: number, ceiling: number, now: Instant): void {
    if (now > this.#recentAt) {
      // Near enough to an exponential, without its cost.
      this.#recent *= memoryMs / (memoryMs + now - this.#recentAt)
      this.#recentAt = now
    }
    this.#recent += wanted
    this.#last = wanted
    this.#call = Math.max(wanted, this.#call * 0.98)
    this.#ceiling = ceiling
    this.touched = now
  }

  /** Gives back of what was set aside, or takes more: what ran is paid for, also beyond it. */
  settle(aside: number, difference: number, start: Instant): void {
    if (start === this.start) this.#held = Math.max(0, this.#held - aside)
    if (difference === 0 || this.closed || (start !== this.start && difference < 0)) return
    this.spent = Math.max(0, this.spent + difference)
    const { burst, amount } = this.rule
    if (burst !== null && difference < 0) this.#burstFullAt += (difference * (this.end - this.start)) / amount
    this.#claim()
  }

  /** Whether there is something to ask for now. */
  asks(now: Instant): boolean {
    if (!this.shared || this.unspent >= this.#low || this.#left === 0) return false
    return now - this.#askedAt >= askAgainMs || (this.#answered && this.#last - this.unspent <= (this.#left ?? 0))
  }

  /** Whether somebody should be told of it, asked for or not. */
  tells(now: Instant): boolean {
    return this.shared && now < this.end && now - this.#toldAt >= tellMs && (this.spent !== this.#toldSpent || this.#idles(now))
  }

  /** What is said of it now; what it will not need it gives back. */
  line(now: Instant): SpendingLine {
    const asks = this.unspent < this.#low && !this.closed
    if (this.closed || this.#idles(now)) this.#released += Math.max(0, this.unspent)
    const needs = asks ? Math.max(0, this.#last - this.unspent) : 0
    const wants = asks ? Math.max(needs, this.#call - this.unspent, 2 * this.#recent - this.unspent) : 0
    if (asks) {
      this.#askedAt = now
      this.#answered = false
    }
    this.#toldAt = now
    this.#toldSpent = this.spent
    const { rule, subject, start, end, spent } = this
    return {
      ...{ bucket: this.#key, rule: rule.name, subject, start, end, line: this.#line },
      ...{ granted: this.#granted, released: this.#released, spent, needs, wants, ceiling: this.#ceiling },
    }
  }

  /** @returns whether it was about this account's window */
  hear(share: Share): boolean {
    if (share.bucket !== this.#key) return false
    let others = share.gone
    for (const { line, granted, released } of share.lines) {
      if (line === this.#line) {
        this.#answered = true
        this.#granted = Math.max(this.#granted, granted)
      } else others += granted - released
    }
    this.#others = others
    this.#left = share.left
    return true
  }

  /** Below it more is asked for. */
  get #low(): number {
    return Math.max(this.#call, this.#recent / 2)
  }

  #open(serial: number, now: Instant): void {
    const { rule, subject, nodes, instance } = this.#options
    const { start, end } = windowAt(rule, now)
    this.start = start
    this.end = end
    this.spent = 0
    this.#held = 0
    this.#key = bucketOf(rule.name, subject, start)
    this.#line = `${instance}#${serial}`
    this.#released = 0
    this.#granted = this.shared ? (serial === 0 ? starterOf(rule, nodes) : 0) : evenPart(rule, nodes)
    this.#left = null
    this.#others = 0
    this.#askedAt = Number.NEGATIVE_INFINITY
    this.#answered = false
    this.#toldAt = now
    this.#toldSpent = 0
  }

  /** What was spent beyond its share is charged: it counts as granted from now on, for all nodes. */
  #claim(): void {
    if (this.shared) this.#granted = Math.max(this.#granted, this.spent + this.#released)
  }

  #idles(now: Instant): boolean {
    return now - this.touched >= idleMs && this.#left !== null && this.#left < this.rule.amount / 4 && this.unspent > 0
  }

  /** It fits in a moment where the nodes share out more, or a call that runs gives it back; else not before the next window. */
  #lacks(amount: number, now: Instant): Room {
    // Other nodes may give back what they were granted, too, but nobody can say when.
    return amount > this.#held ? this.#full(now, false) : { ok: false, retryMs: Math.min(soonMs, this.end - now), never: false }
  }

  #full(now: Instant, never: boolean): Room {
    return { ok: false, retryMs: this.end - now, never }
  }

  /** GCRA (ITU-T I.371), as the ordinary quota. */
  #burstWait(wanted: number, now: Instant): number {
    const { burst, amount } = this.rule
    if (burst === null) return 0
    const each = (this.end - this.start) / amount
    this.#burstFullAt = Math.min(this.#burstFullAt, now + burst * each)
    return Math.max(0, Math.ceil(Math.max(0, this.#burstFullAt - now) + (wanted - burst) * each - 1e-6))
  }
}
