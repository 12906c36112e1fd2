import type { Logger } from 'pino'
import { decode, encode, newEvent } from '../bus/codec.ts'
import { newEventId } from '../bus/event-id.ts'
import { Fence } from '../bus/fence.ts'
import type { BusRecord, EventBus, OutgoingRecord, Tail } from '../bus/port.ts'
import { openTail } from '../bus/tail.ts'
import type { Instant } from '../schemas/index.ts'
import type { Account } from './account.ts'
import { SharedMeter } from './meter.ts'
import type { Meter, Payer, Reservation, Usage } from './port.ts'
import type { LimitRule } from './rules.ts'

export interface NodeMeterOptions {
  readonly bus: EventBus
  readonly rules: readonly LimitRule[]
  /** The node's name. */
  readonly node: string
  /** Nodes that are expected at work at once. */
  readonly nodes: number
  readonly whenAway: 'refuse' | 'local'
  readonly clock: () => Instant
  readonly log: Logger
  /** How long a call may wait for what nodes have to agree on first. Default 1,000 ms. */
  readonly agreeMs?: number
}

export interface NodeMeterState {
  /** Limits of one subject each that this node knows. */
  readonly accounts: number
  /** Since when nobody answers; null while somebody does. */
  readonly awaySince: Instant | null
  /** For people. */
  readonly summary: string
}

/** A meter that agrees with other nodes over the bus. */
export interface NodeMeter extends Meter {
  /** See {@link SharedMeter.failed}. */
  failed(principal: string, now: Instant): void
  state(): NodeMeterState
  /** Tells what was spent, as far as the bus takes it. The emitter and the bus stay open. */
  close(): Promise<void>
}

/** What is asked for is told within that time, and what was spent with it. */
const flushMs = 50
/** Who asked and heard nothing for so long is on its own. */
const awayMs = 5_000
/** What the bus refused is tried again after that time. */
const againMs = 1_000
/** Calls that wait for one account. */
const maxWaiting = 1_024

/** Opens the limits of one node; resolves when what was granted to others is known. */
export async function openNodeMeter(options: NodeMeterOptions): Promise<NodeMeter> {
  const meter = new LoggedMeter(options)
  await meter.open()
  return meter
}

class LoggedMeter implements NodeMeter {
  readonly #options: NodeMeterOptions
  readonly #meter: SharedMeter
  readonly #fence = new Fence('shares')
  readonly #waiting = new Map<Account, Set<() => void>>()
  #tail: Tail | undefined
  #caughtUp = false
  #timer: NodeJS.Timeout | undefined
  #unsent: OutgoingRecord | null = null
  #sending: Promise<void> | null = null
  #soon = false
  #notBefore: Instant = 0
  #askedAt: Instant | null = null
  /** Since when the bus takes nothing: what waits for it may ask for nothing, and no answer to it would be missed. */
  #refusedAt: Instant | null = null
  #awaySince: Instant | null = null

  constructor(options: NodeMeterOptions) {
    const { rules, node, nodes, whenAway, clock } = options
    this.#options = options
    // Never the same again, whatever the node's name and clock.
    const instance = `${node}~${newEventId(clock())}`
    this.#meter = new SharedMeter({ rules, instance, nodes, whenAway, onUrgent: () => this.#sendSoon() })
  }

  async open(): Promise<void> {
    const { bus, log } = this.#options
    this.#tail = await openTail(bus, {
      topic: 'shares',
      from: 'start',
      onRecords: (records) => this.#hear(records),
      onError: (err) => log.warn({ err }, 'shares of limits are not being followed for a moment'),
    })
    this.#caughtUp = true
    this.#timer = setInterval(() => this.#send(), flushMs).unref()
  }

  reserve(payer: Payer, most: Usage, now: Instant): Reservation {
    return this.#meter.reserve(payer, most, now)
  }

  agree(payer: Payer, most: Usage, now: Instant): Promise<Reservation> | undefined {
    if (this.#awaySince !== null) return undefined
    const accounts = this.#meter.pending(payer, most, now)
    if (accounts.length === 0 || accounts.some((account) => (this.#waiting.get(account)?.size ?? 0) >= maxWaiting)) return undefined
    return this.#agreed(payer, most, now + (this.#options.agreeMs ?? 1_000), accounts)
  }

  failed(principal: string, now: Instant): void {
    this.#meter.failed(principal, now)
  }

  state(): NodeMeterState {
    const { size: accounts } = this.#meter
    const { whenAway } = this.#options
    const then = whenAway === 'local' ? 'this node spends as if it were alone' : 'this node spends what it was granted, then refuses'
    const summary = this.#awaySince === null ? `${accounts} allowances in use` : `limits: nobody shares them out; ${then}`
    return { accounts, awaySince: this.#awaySince, summary }
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    await this.#sending
    await this.#tail?.close()
  }

  async #agreed(payer: Payer, most: Usage, until: Instant, first: readonly Account[]): Promise<Reservation> {
    const { clock } = this.#options
    for (let accounts = first; ; ) {
      await this.#heard(accounts, until - clock())
      const now = clock()
      // Of those who wait each takes what is there before the next one looks.
      const reservation = this.#meter.reserve(payer, most, now)
      if (reservation.ok || now >= until) return reservation
      accounts = this.#meter.pending(payer, most, now)
      if (accounts.length === 0) return reservation
    }
  }

  /** Resolves when something was heard of one of the accounts, or the time is over. */
  #heard(accounts: readonly Account[], withinMs: number): Promise<void> {
    return new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer)
        for (const account of accounts) {
          const waiting = this.#waiting.get(account)
          waiting?.delete(done)
          if (waiting?.size === 0) this.#waiting.delete(account)
        }
        resolve()
      }
      const timer = setTimeout(done, Math.max(0, withinMs))
      for (const account of accounts) {
        const waiting = this.#waiting.get(account) ?? new Set()
        this.#waiting.set(account, waiting.add(done))
      }
    })
  }

  #hear(records: readonly BusRecord[]): void {
    const { log } = this.#options
    for (const record of records) {
      if (this.#fence.judge(record) !== 'counts' || record.key === null) continue
      if (record.value === null) this.#meter.forget(record.key)
      else if (!this.#caughtUp) this.#meter.note(record.key)
      // By its key first: of all that is shared out, one node needs a part.
      if (record.value === null || !this.#meter.concerns(record.key)) continue
      try {
        const event = decode(record)
        if (event.kind !== 'share') continue
        const account = this.#meter.hear(event.data)
        if (account === undefined) continue
        this.#answered()
        for (const done of [...(this.#waiting.get(account) ?? [])]) done()
      } catch (err) {
        log.warn({ err, offset: record.offset }, 'a share of a limit could not be read')
      }
    }
  }

  #answered(): void {
    this.#askedAt = null
    if (this.#awaySince === null) return
    this.#awaySince = null
    this.#meter.away = false
    this.#options.log.info('limits are shared out again')
  }

  /** At the end of this turn: what many calls ask for goes out together. */
  #sendSoon(): void {
    if (this.#soon) return
    this.#soon = true
    setImmediate(() => {
      this.#soon = false
      this.#send()
    })
  }

  #send(): void {
    const now = this.#options.clock()
    this.#look(now)
    if (this.#sending !== null || now < this.#notBefore) return
    const record = this.#unsent ?? this.#next(now)
    if (record === null) return
    this.#unsent = record
    this.#sending = this.#options.bus
      .publish([record])
      .then(
        () => {
          this.#unsent = null
          this.#refusedAt = null
        },
        () => {
          this.#refusedAt ??= now
          this.#notBefore = now + againMs
        },
      )
      .finally(() => {
        this.#sending = null
        if (this.#unsent === null && this.#askedAt !== null) this.#sendSoon()
      })
  }

  #next(now: Instant): OutgoingRecord | null {
    const { node } = this.#options
    const lines = [...this.#meter.report(now)]
    if (lines.length === 0) return null
    if (lines.some(({ needs }) => needs > 0)) this.#askedAt ??= now
    return encode('spending', newEvent('spending', { node, at: now, lines }, node, now))
  }

  #look(now: Instant): void {
    const since = this.#askedAt ?? this.#refusedAt
    if (this.#awaySince !== null || since === null || now - since < awayMs) return
    this.#awaySince = since
    this.#meter.away = true
    this.#options.log.warn({ since }, this.state().summary)
  }
}
