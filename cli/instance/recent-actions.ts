import { decode } from '../../bus/codec.ts'
import { Fence } from '../../bus/fence.ts'
import type { EventBus } from '../../bus/port.ts'
import type { Action } from '../../schemas/index.ts'
import { subscribing, tailTopic } from './recent.ts'

export interface RecentActions {
  /** As they stand, the latest change last; bounded. Older ones are in the store. */
  list(): readonly Action[]
  get(id: string): Action | undefined
  onChange(fn: (action: Action) => void): () => void
  close(): Promise<void>
}

/**
 * The newest actions, from the log; what a replaced writer still wrote does not count. Those that wait for a person are
 * given up last. Resolves when it has read what is there.
 */
export async function tailActions(bus: EventBus, onError: (error: unknown) => void, kept = 10_000): Promise<RecentActions> {
  const byId = new Map<string, Action>()
  const listeners = new Set<(action: Action) => void>()
  const fences = new Map<number, Fence>()
  const tail = await tailTopic(bus, 'actions', onError, (record) => {
    const fence = fences.get(record.partition) ?? new Fence('actions')
    fences.set(record.partition, fence)
    if (fence.judge(record) !== 'counts') return
    const event = decode(record)
    if (event.kind !== 'action') return
    byId.delete(event.data.id)
    byId.set(event.data.id, event.data)
    if (byId.size > kept) byId.delete(dispensable(byId))
    for (const listener of listeners) listener(event.data)
  })
  return { list: () => [...byId.values()], get: (id) => byId.get(id), onChange: subscribing(listeners), close: () => tail.close() }
}

function dispensable(byId: ReadonlyMap<string, Action>): string {
  let oldest: string | undefined
  for (const [id, { state }] of byId) {
    if (state !== 'awaiting-approval') return id
    oldest ??= id
  }
  return oldest ?? ''
}
