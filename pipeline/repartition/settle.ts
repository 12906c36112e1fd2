import type { EventBus } from '../../bus/port.ts'
import { RepartitionError } from './errors.ts'
import { type Growth, homeOf } from './homes.ts'

/** It looks at the log so many times before it believes that everybody goes by the new number, and gives up after `patience` times as many. */
const looks = 4
const patience = 4
const mostNames = 5

export interface Settling {
  readonly bus: EventBus
  readonly topic: string
  readonly growth: Growth
  /** Where the old partitions ended before the topic grew. */
  readonly from: ReadonlyMap<number, number>
  readonly settleMs: number
  readonly sleep: (ms: number) => Promise<void>
}

/**
 * Waits until every sender goes by the new number of partitions: at least `settleMs`, and until no record is found any more
 * that went to where its key was before.
 *
 * @throws RepartitionError `NOT_SETTLED`, naming the senders
 */
export async function settle({ bus, topic, growth, from, settleMs, sleep }: Settling): Promise<void> {
  const seen = new Map(from)
  let stale = new Set<string>()
  for (let look = 1; look <= looks * patience; look++) {
    if (settleMs > 0) await sleep(settleMs / looks)
    stale = new Set()
    for (const { partition, start, end } of await bus.partitions(topic)) {
      const begin = Math.max(seen.get(partition) ?? start, start)
      if (partition >= growth.from || begin >= end) continue
      for await (const records of bus.read(topic, partition, begin, end)) {
        for (const record of records) {
          if (homeOf(record, growth).mapping === 'old') stale.add(record.headers.ce_source ?? 'an unnamed sender')
        }
      }
      seen.set(partition, end)
    }
    if (settleMs === 0 || (look >= looks && stale.size === 0)) return
  }
  const who = [...stale].slice(0, mostNames).join(', ') + (stale.size > mostNames ? ' and others' : '')
  const remedy = 'restart those, then run the command again; detection waits until then'
  throw new RepartitionError('NOT_SETTLED', `${topic}: still written to as if it had ${growth.from} partitions by ${who}: ${remedy}`)
}
