import { pino } from 'pino'
import type { Registry } from 'prom-client'
import { openAuthenticator } from '../../access/callers.ts'
import { openCertificates } from '../../access/certificates.ts'
import { Failures } from '../../access/failures.ts'
import type { Authenticator } from '../../access/identity.ts'
import { type IssuedKey, keyCommands, type NewKey } from '../../access/key-commands.ts'
import { carryOutKeyOrder } from '../../access/key-orders.ts'
import { type KeyRegistry, openKeys } from '../../access/key-registry.ts'
import { openKeyWriter } from '../../access/key-writer.ts'
import type { EventBus } from '../../bus/port.ts'
import type { Instant } from '../../schemas/index.ts'

/** Keys as a node reads them, and a hand that writes them without a control plane between. */
export interface TestKeys {
  readonly registry: KeyRegistry
  create(request: NewKey): Promise<IssuedKey>
  revoke(id: string): Promise<unknown>
  rotate(what: string, oldDiesAt: Instant): Promise<readonly string[]>
  claim(what: string): Promise<IssuedKey | null>
  close(): Promise<void>
}

/** Who calls by API keys alone; wrong ones may be sent as often as a test likes. */
export function callersByKey(keys: Pick<KeyRegistry, 'verify' | 'get'>, registry: Registry): Authenticator {
  return openAuthenticator({
    ...{ keys, registry, oidc: [], certificates: openCertificates([]) },
    failures: new Failures({ perMinute: 0, maxSources: 1_000, linesPerMinute: 0 }),
    ...{ pseudonym: () => 'somewhere', log: pino({ level: 'silent' }) },
  })
}

export async function openTestKeys(bus: EventBus, clock: () => Instant): Promise<TestKeys> {
  const registry = await openKeys({ bus })
  const charge = { publish: (records: Parameters<EventBus['publish']>[0]) => bus.publish(records), follow: () => {} }
  const writer = openKeyWriter({ keys: registry, charge, clock, source: 'test' })
  const commands = keyCommands({ keys: registry, clock, order: (order) => carryOutKeyOrder(order, writer, clock()) })
  return {
    registry,
    create: (request) => commands.create(request, 'test'),
    revoke: (id) => writer.revoke(id),
    rotate: (what, oldDiesAt) => writer.rotate(what, oldDiesAt),
    claim: (what) => commands.claim(what, 'test'),
    close: async () => {
      await writer.close()
      await registry.close()
    },
  }
}
