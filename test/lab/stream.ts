import type { DetectorDefinition, FindingDraft } from '../../detectors/contract.ts'
import type { DataOf, EventOf, Observation, ObservationKind } from '../../schemas/index.ts'

/** An event with a made-up identity: the n-th of its stream. */
export function eventOf<K extends ObservationKind>(kind: K, at: number, n: number, data: DataOf<K>): EventOf<K> {
  const tail = n.toString(16).padStart(12, '0')
  return { kind, id: `01900000-0000-7000-8000-${tail}`, time: at, source: 'lab', data } as EventOf<K>
}

/** One detector in memory with its states by scope key, without timers: what a detector host does, less its guarantees. */
export function inMemory(definition: DetectorDefinition, parameters: object): (o: Observation) => readonly FindingDraft[] {
  const logic = definition.start(definition.params.parse(parameters))
  const states = new Map<string, unknown>()
  return (o) => {
    const key = definition.scope(o)
    if (key === null) return []
    let state = states.get(key)
    if (state === undefined) {
      state = logic.initial(o.time)
      states.set(key, state)
    }
    const step = logic.onEvent(state, o)
    if (step?.state === null) states.delete(key)
    else if (step !== undefined) states.set(key, step.state)
    return step?.findings ?? []
  }
}
