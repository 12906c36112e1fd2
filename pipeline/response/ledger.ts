import { type Action, type ActionState, type Instant, leaseId } from '../../schemas/index.ts'

const minute = 60_000

/** Actions by id, so that none is done twice; the longest untouched beyond the bound are forgotten, waiting ones last. */
export class ActionLedger {
  readonly #actions = new Map<string, Action>()
  readonly #running = new Map<string, Action>()
  readonly #byLease = new Map<string, Set<string>>()
  readonly #bound: number
  #executedAt: Instant[] = []

  constructor(bound: number) {
    this.#bound = bound
  }

  get(id: string): Action | undefined {
    return this.#actions.get(id)
  }

  get size(): number {
    return this.#actions.size
  }

  put(action: Action): void {
    this.#actions.delete(action.id)
    this.#actions.set(action.id, action)
    const lease = leaseId(action.target, action.responder)
    const ids = this.#byLease.get(lease)
    if (ids === undefined) this.#byLease.set(lease, new Set([action.id]))
    else ids.add(action.id)
    if (this.#actions.size > this.#bound) this.#evict()
  }

  /** Whether planning it again should do anything: what failed may be tried again, the rest is settled. */
  isOpen(id: string): boolean {
    const state = this.#actions.get(id)?.state
    return !this.#running.has(id) && (state === undefined || state === 'failed')
  }

  begin(action: Action): void {
    this.#running.set(action.id, action)
  }

  end(id: string): void {
    this.#running.delete(id)
  }

  /** Allowed, and being carried out now. */
  get running(): readonly Action[] {
    return [...this.#running.values()]
  }

  noteExecuted(at: Instant): void {
    this.#executedAt.push(at)
  }

  /** Actions carried out in the minute before `now`, the running ones included. */
  recent(now: Instant): number {
    this.#executedAt = this.#executedAt.filter((at) => now - at < minute)
    return this.#executedAt.length + this.#running.size
  }

  ofIncident(incident: string): readonly Action[] {
    return this.list().filter((action) => action.incident === incident)
  }

  inState(state: ActionState): readonly Action[] {
    return this.list().filter((action) => action.state === state)
  }

  /** Actions that a lease came from. */
  ofLease(lease: string): readonly Action[] {
    return [...(this.#byLease.get(lease) ?? [])].flatMap((id) => this.#actions.get(id) ?? [])
  }

  list(): readonly Action[] {
    return [...this.#actions.values()]
  }

  #evict(): void {
    const oldest = this.#oldest()
    if (oldest === undefined) return
    this.#actions.delete(oldest.id)
    const lease = leaseId(oldest.target, oldest.responder)
    const ids = this.#byLease.get(lease)
    ids?.delete(oldest.id)
    if (ids?.size === 0) this.#byLease.delete(lease)
  }

  #oldest(): Action | undefined {
    for (const action of this.#actions.values()) if (action.state !== 'awaiting-approval') return action
    return this.#actions.values().next().value
  }
}
