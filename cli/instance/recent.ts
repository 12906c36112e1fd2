import { LastUsed } from '../../bounded/last-used.ts'
import { decode } from '../../bus/codec.ts'
import type { BusRecord, EventBus, Tail } from '../../bus/port.ts'
import { openTail } from '../../bus/tail.ts'
import type { Finding } from '../../schemas/index.ts'

export interface RecentFindings {
  recent(): readonly Finding[]
  onChange(fn: (finding: Finding) => void): () => void
  close(): Promise<void>
}

const keptFindings = 10_000

/** The newest findings, from the log; older ones are in the store. Resolves when it has read what is there. */
export async function tailFindings(bus: EventBus, onError: (error: unknown) => void): Promise<RecentFindings> {
  // By id and revision: a finding that was published again after a crash is the same finding.
  const kept = new LastUsed<string, Finding>(keptFindings)
  const listeners = new Set<(finding: Finding) => void>()
  const tail = await tailTopic(bus, 'findings', onError, (record) => {
    const event = decode(record)
    if (event.kind !== 'finding') return
    const key = `${event.data.id}/${event.data.revision}`
    if (kept.peek(key) !== undefined) return
    kept.set(key, event.data)
    for (const listener of listeners) listener(event.data)
  })
  return { recent: () => [...kept.values()], onChange: subscribing(listeners), close: () => tail.close() }
}

export function subscribing<T>(listeners: Set<(value: T) => void>): (fn: (value: T) => void) => () => void {
  return (fn) => {
    listeners.add(fn)
    return () => listeners.delete(fn)
  }
}

/** Tails a topic from its start; resolves when caught up. What cannot be read is told and passed over. */
export function tailTopic(
  bus: EventBus,
  topic: string,
  onError: (error: unknown) => void,
  onRecord: (record: BusRecord) => void,
): Promise<Tail> {
  return openTail(bus, {
    topic,
    from: 'start',
    onRecords: (records) => {
      for (const record of records) {
        try {
          onRecord(record)
        } catch (error) {
          onError(error)
        }
      }
    },
    onError,
  })
}
