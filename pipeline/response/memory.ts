import { IncidentBook, incidentDefaults } from '../../responders/incidents/incidents.ts'
import type { Charge } from './charge.ts'
import { digest } from './digest.ts'
import { Journal, type Through } from './journal.ts'
import { ActionLedger } from './ledger.ts'
import { RiskBook } from './risks.ts'

const maxActions = 20_000
const maxClosedIncidents = 5_000
const maxRisks = 100_000

/** What the worker knows: incidents that are open, who was contained before, what was done, and how risky principals are. */
export interface Memory {
  readonly book: IncidentBook
  readonly ledger: ActionLedger
  readonly journal: Journal
  readonly risks: RiskBook
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
    risks: new RiskBook(maxRisks),
    through: new Map(),
  }
}
