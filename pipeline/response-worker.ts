import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { KeyWriter } from '../access/key-writer.ts'
import type { AuditTrail } from '../audit/port.ts'
import type { EventBus } from '../bus/port.ts'
import type { ContainmentRequest } from '../responders/containment-request.ts'
import type { ResponderPorts } from '../responders/contract.ts'
import type { GuardOptions } from '../responders/guard/guard.ts'
import type { Inventory } from '../responders/guard/inventory.ts'
import type { Playbook } from '../responders/playbooks/playbook.ts'
import type { ContainmentResponder } from '../responders/responder.ts'
import type { Action, Assignment, Containment, Incident, Instant } from '../schemas/index.ts'
import type { ModelAnnouncer } from './response/announcer.ts'
import type { Charge } from './response/charge.ts'
import { type ExecutionOptions, executionDefaults } from './response/execution.ts'
import type { LeaseKeeper } from './response/lease-keeper.ts'
import { Orders } from './response/orders.ts'
import { Response } from './response/response.ts'
import { Seat } from './response/seat.ts'

export interface ResponseWorkerOptions {
  readonly bus: EventBus
  /** By which everything of the worker writes; the worker takes and drops it. */
  readonly charge: Charge
  readonly responders: readonly ContainmentResponder[]
  readonly playbook: Playbook
  readonly guard: GuardOptions
  /** `leases` is the keeper, and with `keys` of the same charge; the others are effects. */
  readonly ports: ResponderPorts & { readonly leases: LeaseKeeper; readonly keys: KeyWriter }
  /** By which persons promote models; of the same charge. */
  readonly models: Pick<ModelAnnouncer, 'promote'>
  /** Where what people order is chained; where it is left out, it is on `commands` and `outcomes` alone. */
  readonly audit?: AuditTrail | undefined
  /** What the guard protects, as of now. */
  readonly inventory: () => Inventory
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  /** Who says so on the log. */
  readonly source: string
  /** Consumer group on `findings` and `commands`. Default `respond`. */
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
  /** Whether it is this process that decides; else it stands by. */
  readonly inCharge: boolean
  /** What it reads, where it is in charge. */
  readonly assignments: readonly Assignment[]
}

/**
 * Turns findings into incidents, and incidents into containment; carries out what persons order on `commands`. One of
 * several processes is in charge; in the others everything that changes something throws ResponderError `NOT_IN_CHARGE`.
 */
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
 * Joins the group. The process that the group gives the partitions takes charge: it rebuilds its state from the log, then
 * follows `findings` and `commands`. The others stand by, with their views warm.
 */
export async function startResponseWorker(options: ResponseWorkerOptions): Promise<ResponseWorker> {
  const { bus, charge, clock, log, source, ports, group = 'respond', tickMs = 5_000 } = options
  const response = new Response(options, { ...executionDefaults, ...options.execution })
  const orders = new Orders({ bus, charge, keys: ports.keys, models: options.models, audit: options.audit, clock, log, source }, response)
  const seat = new Seat({ bus, charge, clock, take: async () => orders.remember(await response.takeCharge()) })
  const consumer = await bus.consume({
    group,
    topics: ['findings', 'commands'],
    together: true,
    onAssigned: async (topic, partition) => {
      await seat.assigned(topic, partition)
      return undefined
    },
    onRevoked: async (topic, partition) => seat.revoked(topic, partition),
    onBatch: (batch, control) => seat.during(batch, control, () => (batch.topic === 'commands' ? orders : response).handle(batch, control)),
    onError: (error) => response.noteTrouble(error),
  })
  const tick = () => {
    const ticked = response.inCharge ? response.tick() : seat.retake()
    ticked.catch((error: unknown) => response.noteTrouble(error))
  }
  const timer = tickMs === null ? undefined : setInterval(tick, tickMs).unref()
  return {
    state: () => ({ ...response.state(), assignments: seat.assignments() }),
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
