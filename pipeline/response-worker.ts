import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { EventBus } from '../bus/port.ts'
import type { ContainmentRequest } from '../responders/containment-request.ts'
import type { ResponderPorts } from '../responders/contract.ts'
import type { GuardOptions } from '../responders/guard/guard.ts'
import type { Inventory } from '../responders/guard/inventory.ts'
import type { Playbook } from '../responders/playbooks/playbook.ts'
import type { ContainmentResponder } from '../responders/responder.ts'
import type { Action, Containment, Incident, Instant } from '../schemas/index.ts'
import { type ExecutionOptions, executionDefaults } from './response/execution.ts'
import type { LeaseKeeper } from './response/lease-keeper.ts'
import { Response } from './response/response.ts'

export interface ResponseWorkerOptions {
  readonly bus: EventBus
  readonly responders: readonly ContainmentResponder[]
  readonly playbook: Playbook
  readonly guard: GuardOptions
  /** `leases` is the keeper; the others are effects. */
  readonly ports: ResponderPorts & { readonly leases: LeaseKeeper }
  /** What the guard protects, as of now. */
  readonly inventory: () => Inventory
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  /** Who says so on the log. */
  readonly source: string
  /** Consumer group on `findings`. Default `respond`. */
  readonly group?: string
  readonly execution?: Partial<ExecutionOptions>
  /** Without a finding for this long, and with no lease running, an incident closes. Default 1 h. */
  readonly quietMs?: number
  /** How often quiet incidents are looked for. Default 5,000 ms; null: only when `tick` is called. */
  readonly tickMs?: number | null
}

export interface ResponseWorkerState {
  readonly incidents: number
  readonly leases: number
  readonly waiting: number
  /** Findings handled by this process. */
  readonly findings: number
  /** Event time of the newest of them. */
  readonly lastFindingAt: Instant | null
  /** The newest failure that led to a redelivery, and when; cleared by the next success. */
  readonly trouble: { readonly at: Instant; readonly message: string } | null
}

/** Turns findings into incidents, and incidents into containment. One of it writes incidents, actions and leases. */
export interface ResponseWorker {
  state(): ResponseWorkerState
  /** Incidents that are not closed. */
  incidents(): readonly Incident[]
  /** Actions known of an incident, the latest change last. */
  actionsOf(incident: string): readonly Action[]
  waiting(): readonly Action[]
  /** Carries out an action that waits for a person. Null when none of that id waits. */
  approve(action: string, by: string): Promise<Action | null>
  /** Declines it: recorded as what would have been done. Null when none of that id waits. */
  decline(action: string, by: string): Promise<Action | null>
  /**
   * Contains on a person's word: their settings replace what stands, and the guard is not asked.
   * Throws ResponderError (see `planRequest`), or `LEASE_REFUSED` with the reason where it could not be done.
   */
  contain(request: ContainmentRequest): Promise<Containment>
  /** Undoes a containment. Null when there is none of that id. */
  release(lease: string, by: string): Promise<Containment | null>
  /** Closes incidents that are over. */
  tick(): Promise<void>
  /** Finishes the batch at hand, then leaves the group. The keeper stays open: it is its opener's. */
  close(): Promise<void>
}

/**
 * Rebuilds its state from the log, then follows `findings`. A second process of the same group stands by: it rebuilds
 * its state again when it is given the partition.
 */
export async function startResponseWorker(options: ResponseWorkerOptions): Promise<ResponseWorker> {
  const response = new Response(options, { ...executionDefaults, ...options.execution })
  await response.remember()
  const consumer = await options.bus.consume({
    group: options.group ?? 'respond',
    topics: ['findings'],
    onAssigned: async () => {
      await response.remember()
      return undefined
    },
    onBatch: (batch, control) => response.handle(batch, control),
    onError: (error) => response.noteTrouble(error),
  })
  const tick = () => {
    response.tick().catch((error: unknown) => response.noteTrouble(error))
  }
  const { tickMs = 5_000 } = options
  const timer = tickMs === null ? undefined : setInterval(tick, tickMs).unref()
  return {
    state: () => response.state(),
    incidents: () => response.incidents(),
    actionsOf: (incident) => response.actionsOf(incident),
    waiting: () => response.waiting(),
    approve: (action, by) => response.approve(action, by),
    decline: (action, by) => response.decline(action, by),
    contain: (request) => response.contain(request),
    release: (lease, by) => response.release(lease, by),
    tick: () => response.tick(),
    async close() {
      clearInterval(timer)
      await response.close(() => consumer.close())
    },
  }
}
