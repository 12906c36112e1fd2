import type { ContainmentRequest } from '../responders/containment-request.ts'
import type { Action, Containment, Incident } from '../schemas/index.ts'
import { executionDefaults } from './response/execution.ts'
import type { ResponseWorkerOptions, ResponseWorkerState } from './response/options.ts'
import { Orders } from './response/orders.ts'
import { Response } from './response/response.ts'
import { Seat } from './response/seat.ts'

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
    onAssigned: async (topic, partition, control) => {
      await seat.assigned(topic, partition, control)
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
