import type { Logger } from 'pino'
import type { EventBus } from '../../bus/port.ts'
import type { Inventory } from '../../responders/guard/inventory.ts'
import { anonymous } from '../../responders/leases/hold.ts'
import type { Instant } from '../../schemas/index.ts'

export interface InventoryOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly log: Logger
  /** The models that each pool serves, as of now. */
  readonly pools: () => ReadonlyMap<string, readonly string[]>
  /** A principal is active for this long after a request. Default 1 h. */
  readonly windowMs?: number
  /** Most principals counted; beyond it the longest silent are left out, and the guard grows stricter. Default 200,000. */
  readonly maxPrincipals?: number
}

export interface InventoryWatch {
  readonly current: () => Inventory
  close(): Promise<void>
}

/**
 * Counts active principals from the keys of the `requests` topic, without reading a single value. It knows nobody
 * when it starts, so until traffic has come by the guard's floor applies.
 */
export async function watchInventory(options: InventoryOptions): Promise<InventoryWatch> {
  const { bus, clock, log, pools, windowMs = 60 * 60 * 1_000, maxPrincipals = 200_000 } = options
  /** Last seen, the longest silent first. */
  const seen = new Map<string, Instant>()
  const forget = (now: Instant) => {
    for (const [principal, at] of seen) {
      if (now - at <= windowMs && seen.size <= maxPrincipals) break
      seen.delete(principal)
    }
  }
  const tail = await bus.tail({
    topic: 'requests',
    from: 'end',
    onRecords: (records) => {
      const now = clock()
      for (const { key } of records) {
        if (key === null || key === anonymous) continue
        seen.delete(key)
        seen.set(key, now)
      }
      forget(now)
    },
    onError: (err) => log.warn({ err }, 'active principals are not being counted for a moment'),
  })
  return {
    current() {
      forget(clock())
      return { activePrincipals: seen.size, pools: pools() }
    },
    close: () => tail.close(),
  }
}
