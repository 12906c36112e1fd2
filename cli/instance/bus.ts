import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createSecureContext } from 'node:tls'
import type { Logger } from 'pino'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { KafkaBusOptions } from '../../bus/kafka/client.ts'
import type { EventBus } from '../../bus/port.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'

/**
 * The bus that the configuration names.
 *
 * @param clientId what the brokers' logs call this process
 * @throws CliError `CONFIG_INVALID` or `CONFIG_UNREADABLE`, naming the setting; BusError where the bus does not open
 */
export async function openBus(config: Config, log: Logger, clientId: string = config.inference.node): Promise<EventBus> {
  if (config.bus.adapter === 'embedded') {
    const path = join(config.dataDir, 'log')
    mkdirSync(path, { recursive: true, mode: 0o700 })
    return createEmbeddedBus({ path, log })
  }
  const options = kafkaOptions(config.bus, log, clientId)
  // Loaded only where it is used: most start without it.
  const { createKafkaBus } = await import('../../bus/kafka/bus.ts')
  return createKafkaBus(options)
}

function kafkaOptions(bus: Config['bus'], log: Logger, clientId: string): KafkaBusOptions {
  const { brokers, prefix, sessionMs, replication, minInsyncReplicas, mechanism, username, password } = bus
  if (brokers.length === 0) throw invalid('bus.brokers: name at least one broker, or set bus.adapter to embedded')
  if (replication !== null && minInsyncReplicas !== null && minInsyncReplicas > replication) {
    throw invalid(`bus.minInsyncReplicas: ${minInsyncReplicas} of ${replication} copies (bus.replication) can never be in sync`)
  }
  if (username !== null && password === null) throw invalid('bus.password: is missing, and there is a bus.username')
  if (username !== null && mechanism === 'plain' && !bus.ssl) {
    throw invalid('bus.mechanism: plain sends the password as it is to whoever listens; set bus.ssl to true, or use scram-sha-512')
  }
  return {
    brokers,
    clientId,
    prefix,
    sessionMs,
    log,
    ssl: tlsOf(bus),
    ...(username === null || password === null ? {} : { sasl: { mechanism, username, password } as KafkaBusOptions['sasl'] }),
    ...(replication === null ? {} : { replication }),
    ...(minInsyncReplicas === null ? {} : { minInsyncReplicas }),
  }
}

function tlsOf({ ssl, caFile, certFile, keyFile }: Config['bus']): KafkaBusOptions['ssl'] {
  const given = Object.entries({ caFile, certFile, keyFile }).find(([, file]) => file !== null)
  if (!ssl) {
    if (given !== undefined) throw invalid(`bus.${given[0]}: has no effect without TLS; set bus.ssl to true, or leave it out`)
    return false
  }
  if ((certFile === null) !== (keyFile === null)) {
    throw invalid(
      `bus.${certFile === null ? 'certFile' : 'keyFile'}: a certificate and its key belong together, and only one of them is given`,
    )
  }
  const tls = {
    ...(caFile === null ? {} : { ca: [readPem('bus.caFile', caFile, 'CERTIFICATE')] }),
    ...(certFile === null ? {} : { cert: readPem('bus.certFile', certFile, 'CERTIFICATE') }),
    ...(keyFile === null ? {} : { key: readPem('bus.keyFile', keyFile, 'PRIVATE KEY') }),
  }
  try {
    createSecureContext(tls)
  } catch (error) {
    throw new CliError('CONFIG_INVALID', `bus.certFile, bus.keyFile: cannot be used together: ${textOf(error)}`, { cause: error })
  }
  return tls
}

function readPem(setting: string, file: string, kind: 'CERTIFICATE' | 'PRIVATE KEY'): string {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new CliError('CONFIG_UNREADABLE', `${setting}: ${file} cannot be read: ${textOf(error)}`, { cause: error })
  }
  try {
    if (kind === 'CERTIFICATE') void new X509Certificate(text)
    else createPrivateKey(text)
  } catch (error) {
    throw new CliError('CONFIG_INVALID', `${setting}: ${file} holds no PEM ${kind.toLowerCase()}: ${textOf(error)}`, { cause: error })
  }
  return text
}

function invalid(message: string): CliError {
  return new CliError('CONFIG_INVALID', message)
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
