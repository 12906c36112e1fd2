import type { Logger } from 'pino'
import { encode, newEvent, tombstone } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView, type View } from '../../bus/view.ts'
import type { LeaseRequest } from '../../responders/contract.ts'
import { ResponderError } from '../../responders/errors.ts'
import { LeaseBook } from '../../responders/leases/book.ts'
import { decide, type LeaseCommand, type LeaseDecision, type LeaseLimits, leaseLimits } from '../../responders/leases/lease.ts'
import { latest } from '../../responders/responder.ts'
import { type Containment, type Instant, leaseId } from '../../schemas/index.ts'
import type { Charge } from './charge.ts'
import { Turn } from './turn.ts'

/** Owners that are people are written so; their grants replace what stands, where a machine's only strengthen. */
export const personPrefix = 'person:'

export interface LeaseKeeperOptions {
  readonly bus: EventBus
  /** By which it writes. */
  readonly charge: Charge
  readonly clock: () => Instant
  /** Who says so on the log. */
  readonly source: string
  /** Decide what is stronger, by action id. */
  readonly responders: readonly { readonly id: string; readonly strongest: typeof latest }[]
  readonly log: Logger
  readonly limits?: Partial<LeaseLimits>
  /** Ended leases kept on the topic; older ones are deleted there (the store keeps them). Default 10,000. */
  readonly maxEnded?: number
  /** How often leases whose time is up are marked expired. Default 1,000 ms; null: only when `sweep` is called. */
  readonly sweepMs?: number | null
}

/**
 * Leases on the compacted `containments` topic. The process in charge writes them, and its changes are durable before
 * their promises resolve; elsewhere every change throws ResponderError `NOT_IN_CHARGE`, and the keeper only reads.
 * Marking a lease expired is bookkeeping: whoever enforces compares the clock with `until`.
 */
export interface LeaseKeeper {
  /** The `leases` port of responders. Throws ResponderError `LEASES_FULL` at the bound, `LEASE_REFUSED` where it would end before it began. */
  grant(request: LeaseRequest): Promise<Containment>
  /** Moves the end of an active lease later, by a person. Null when it is not active. */
  extend(id: string, until: Instant, by: string): Promise<Containment | null>
  /** Ends an active lease. An ended one is returned as it is; null when there is none. */
  release(id: string, by: string): Promise<Containment | null>
  get(id: string): Containment | undefined
  /** Active and ended, the latest change last. */
  list(): readonly Containment[]
  /** Called with each revision of this process once it is durable, and with those that others wrote. */
  onChange(listener: (lease: Containment) => void): () => void
  /** Marks what ran out as expired; returns those. */
  sweep(): Promise<readonly Containment[]>
  close(): Promise<void>
}

/** Opens the keeper; resolves when every lease on the log is known. */
export async function openLeases(options: LeaseKeeperOptions): Promise<LeaseKeeper> {
  const view = await openView(options.bus, 'containments', { onError: (err) => options.log.warn({ err }, 'a lease could not be read') })
  return new LoggedLeases(options, view)
}

class LoggedLeases implements LeaseKeeper {
  readonly #options: LeaseKeeperOptions
  readonly #limits: LeaseLimits
  readonly #view: View<Containment>
  #book: LeaseBook
  readonly #listeners = new Set<(lease: Containment) => void>()
  /** One change of a lease at a time; different leases do not wait for each other. */
  readonly #turns = new Map<string, Turn>()
  readonly #timer: NodeJS.Timeout | undefined
  #closed = false

  constructor(options: LeaseKeeperOptions, view: View<Containment>) {
    this.#options = options
    this.#limits = { ...leaseLimits, ...options.limits }
    this.#view = view
    this.#book = this.#bookOfView()
    view.onChange((id, lease) => this.#follow(id, lease))
    const { sweepMs = 1_000, charge } = options
    charge.follow('containments', async (position) => {
      await view.reached(position)
      this.#book = this.#bookOfView()
    })
    // What it wrote last may not count.
    charge.onDrop(() => {
      this.#book = this.#bookOfView()
    })
    if (sweepMs !== null) this.#timer = setInterval(() => this.#sweepQuietly(), sweepMs).unref()
  }

  async grant(request: LeaseRequest): Promise<Containment> {
    const id = leaseId(request.target, request.action)
    const person = request.owner.startsWith(personPrefix)
    const { refused } = await this.#change(id, { kind: 'grant', request, person })
    if (refused === 'full') {
      throw new ResponderError('LEASES_FULL', `Granting ${id}: ${this.#limits.maxActive} leases are active, the limit; release some.`)
    }
    const lease = this.#book.get(id)
    if (refused === 'past' || lease === undefined) {
      throw new ResponderError('LEASE_REFUSED', `Granting ${id}: it would end before it began; ask for a later end.`)
    }
    return lease
  }

  async extend(id: string, until: Instant, by: string): Promise<Containment | null> {
    const { refused } = await this.#change(id, { kind: 'extend', until, by })
    return refused === 'not-active' ? null : (this.#book.get(id) ?? null)
  }

  async release(id: string, by: string): Promise<Containment | null> {
    await this.#change(id, { kind: 'release', by })
    return this.#book.get(id) ?? null
  }

  get(id: string): Containment | undefined {
    return this.#book.get(id)
  }

  list(): readonly Containment[] {
    return this.#book.list()
  }

  onChange(listener: (lease: Containment) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async sweep(): Promise<readonly Containment[]> {
    this.#options.charge.term()
    const due = this.#book.due(this.#options.clock())
    const decisions = await Promise.all(due.map(({ id }) => this.#change(id, { kind: 'expire' })))
    await this.#dropSurplus()
    return decisions.flatMap(({ revisions }) => revisions)
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#timer)
    await Promise.all([...this.#turns.values()].map((turn) => turn.idle()))
    this.#listeners.clear()
    await this.#view.close()
  }

  async #change(id: string, command: LeaseCommand): Promise<LeaseDecision> {
    if (this.#closed) throw new ResponderError('LEASE_REFUSED', `Changing ${id}: the keeper is closed.`)
    this.#options.charge.term()
    const turn = this.#turns.get(id) ?? new Turn()
    this.#turns.set(id, turn)
    const done = turn.run(() => this.#decide(id, command))
    try {
      const decision = await done
      this.#options.charge.term()
      return decision
    } finally {
      if (turn.waiting === 0) this.#turns.delete(id)
    }
  }

  async #decide(id: string, command: LeaseCommand): Promise<LeaseDecision> {
    const { clock, responders, charge, source } = this.#options
    const book = this.#book
    const held = book.get(id)
    const now = clock()
    const action = command.kind === 'grant' ? command.request.action : held?.action
    const strongest = responders.find((responder) => responder.id === action)?.strongest ?? latest
    const decision = decide(command, held ?? null, { now, active: book.active, limits: this.#limits, strongest })
    if (decision.revisions.length === 0) return decision
    // Counted at once, so that leases granted side by side cannot pass the bound together.
    for (const revision of decision.revisions) book.apply(revision)
    try {
      await charge.publish(decision.revisions.map((revision) => encode('containments', newEvent('containment', revision, source, now))))
    } catch (error) {
      if (held === undefined) book.forget(id)
      else book.put(held)
      throw error
    }
    for (const revision of decision.revisions) this.#tell(revision)
    return decision
  }

  #bookOfView(): LeaseBook {
    const book = new LeaseBook(this.#options.maxEnded ?? 10_000)
    for (const lease of this.#view.values()) book.apply(lease)
    return book
  }

  /** What another process wrote, or an earlier holder of the charge. Our own records come back too and change nothing. */
  #follow(id: string, lease: Containment | undefined): void {
    if (lease === undefined) {
      if (this.#book.get(id)?.state !== 'active') this.#book.forget(id)
    } else if (this.#book.apply(lease)) this.#tell(lease)
  }

  #tell(lease: Containment): void {
    for (const listener of this.#listeners) {
      try {
        listener(lease)
      } catch (err) {
        this.#options.log.error({ err, lease: lease.id }, 'a listener of lease changes failed')
      }
    }
  }

  async #dropSurplus(): Promise<void> {
    const ids = this.#book.surplus()
    if (ids.length === 0) return
    await this.#options.charge.publish(ids.map((id) => tombstone('containments', id, this.#options.clock())))
    for (const id of ids) if (this.#book.get(id)?.state !== 'active') this.#book.forget(id)
  }

  #sweepQuietly(): void {
    if (!this.#options.charge.held) return
    this.sweep().catch((err: unknown) => this.#options.log.warn({ err }, 'leases could not be marked expired; trying again'))
  }
}
