import { type IssuedKey, keyCommands, type NewKey } from '../../access/key-commands.ts'
import { carryOutKeyOrder } from '../../access/key-orders.ts'
import { type KeyRegistry, openKeys } from '../../access/key-registry.ts'
import { type KeyWriter, openKeyWriter } from '../../access/key-writer.ts'
import type { EventBus } from '../../bus/port.ts'
import type { Instant, Key } from '../../schemas/index.ts'

export interface IssuingOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly source: string
  readonly maxKeys?: number
  readonly visibleWithinMs?: number
}

/** The registry with what makes and changes keys, all in one process, for those who need keys to test something. */
export interface IssuingKeys extends KeyRegistry {
  readonly writer: KeyWriter
  create(request: NewKey): Promise<IssuedKey>
  claim(what: string): Promise<IssuedKey | null>
  revoke(id: string): Promise<Key | null>
  rotate(principalOrKeyId: string, oldDiesAt: Instant): Promise<readonly string[]>
}

export async function openIssuingKeys({ bus, clock, source, visibleWithinMs = 10_000, ...limits }: IssuingOptions): Promise<IssuingKeys> {
  const keys = await openKeys({ bus })
  const charge = { publish: bus.publish.bind(bus), follow: () => {} }
  const writer = openKeyWriter({ keys, charge, clock, source, visibleWithinMs, ...limits })
  const commands = keyCommands({ keys, clock, visibleWithinMs, order: (order) => carryOutKeyOrder(order, writer, clock()) })
  return {
    ...keys,
    get size() {
      return keys.size
    },
    writer,
    create: (request) => commands.create(request, 'ann'),
    claim: (what) => commands.claim(what, 'ann'),
    revoke: (id) => writer.revoke(id),
    rotate: (what, oldDiesAt) => writer.rotate(what, oldDiesAt),
    close: async () => {
      await writer.close()
      await keys.close()
    },
  }
}
