import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'

/** The bus that the configuration names. */
export async function openBus(config: Config, log: Logger): Promise<EventBus> {
  const { adapter, brokers, prefix, ssl, username, password } = config.bus
  if (adapter === 'embedded') {
    const path = join(config.dataDir, 'log')
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return createEmbeddedBus({ path, log })
  }
  if (brokers.length === 0) throw new CliError('CONFIG_INVALID', 'bus.brokers: name at least one broker, or set bus.adapter to embedded')
  const sasl = username === null ? undefined : ({ mechanism: 'scram-sha-512', username, password: password ?? '' } as const)
  // Loaded only where it is used: most start without it.
  const { createKafkaBus } = await import('../../bus/kafka/bus.ts')
  return createKafkaBus({ brokers, clientId: config.inference.node, prefix, ssl, log, ...(sasl === undefined ? {} : { sasl }) })
}
