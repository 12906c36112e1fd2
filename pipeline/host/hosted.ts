import type { DetectorDefinition, DetectorLogic } from '../../detectors/contract.ts'
import type { ObservationKind } from '../../schemas/index.ts'
import { HostError } from './errors.ts'
import { sha256 } from './finding-id.ts'
import { KeyedState } from './partition/keyed-state.ts'

/** A detector with the parameters that it runs with, as the definition's `params` accepts them. */
export interface HostedDetector {
  readonly definition: DetectorDefinition
  readonly params: unknown
}

/** What must be equal for two runs to give the same findings, and for a snapshot of one to serve the other. */
interface DetectorIdentity {
  readonly id: string
  readonly version: number
  readonly stateVersion: number
  /** SHA-256 of the parsed parameters. */
  readonly params: string
}

/** One detector at work in one partition. */
export interface Slot {
  readonly definition: DetectorDefinition
  readonly identity: DetectorIdentity
  readonly logic: DetectorLogic<unknown>
  readonly keys: KeyedState
}

/** @throws HostError `HOST_INVALID` when an id is there twice, and ZodError for parameters that do not parse */
export function openSlots(detectors: readonly HostedDetector[]): readonly Slot[] {
  const slots = detectors.map(({ definition, params }) => {
    const parsed = definition.params.parse(params)
    const { id, version, stateVersion = 1 } = definition
    const identity = { id, version, stateVersion, params: sha256(JSON.stringify(parsed) ?? '') }
    return { definition, identity, logic: definition.start(parsed), keys: new KeyedState() }
  })
  const ids = new Set(slots.map(({ definition }) => definition.id))
  if (ids.size !== slots.length) throw new HostError('HOST_INVALID', 'hosting detectors: two have the same id; name each once')
  return slots.sort((a, b) => (a.definition.id < b.definition.id ? -1 : 1))
}

export function slotsByKind(slots: readonly Slot[]): ReadonlyMap<ObservationKind, readonly Slot[]> {
  const byKind = new Map<ObservationKind, Slot[]>()
  for (const slot of slots) {
    for (const kind of slot.definition.observes) byKind.set(kind, [...(byKind.get(kind) ?? []), slot])
  }
  return byKind
}
