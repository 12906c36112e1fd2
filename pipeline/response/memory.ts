import { IncidentBook, incidentDefaults } from '../../responders/incidents/incidents.ts'
import type { Charge } from './charge.ts'
import { digest } from './digest.ts'
import { Journal, type Through } from './journal.ts'
import { ActionLedger } from './ledger.ts'

const maxActions = 20_000
const maxClosedIncidents = 5_000

/** What the worker knows: incidents that are open, who was contained before, and what was done. */
export interface Memory {
  readonly book: IncidentBook
  readonly ledger: ActionLedger
  readonly journal: Journal
  readonly through: Map<string, Through>
}

export interface MemoryOptions {
  readonly charge: Charge
  readonly source: string
  readonly quietMs?: number
}

export function emptyMemory({ charge, source, quietMs = incidentDefaults.quietMs }: MemoryOptions): Memory {
  return {
    book: new IncidentBook({ ...incidentDefaults, quietMs, hash: digest }),
    ledger: new ActionLedger(maxActions),
    journal: new Journal(charge, source, maxClosedIncidents),
    through: new Map(),
  }
}
