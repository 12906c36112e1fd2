import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { KeyWriter } from '../../access/key-writer.ts'
import type { AuditTrail } from '../../audit/port.ts'
import type { EventBus } from '../../bus/port.ts'
import type { ResponderPorts } from '../../responders/contract.ts'
import type { GuardOptions } from '../../responders/guard/guard.ts'
import type { Inventory } from '../../responders/guard/inventory.ts'
import type { Playbook } from '../../responders/playbooks/playbook.ts'
import type { ContainmentResponder } from '../../responders/responder.ts'
import type { Assignment, Instant } from '../../schemas/index.ts'
import type { ModelAnnouncer } from './announcer.ts'
import type { Charge } from './charge.ts'
import type { ExecutionOptions } from './execution.ts'
import type { LeaseKeeper } from './lease-keeper.ts'

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
