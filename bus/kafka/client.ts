import kafkajs, { type Kafka, type KafkaConfig } from 'kafkajs'
import type { Logger } from 'pino'
import { BusError, type BusErrorCode } from '../errors.ts'

export interface KafkaBusOptions {
  readonly brokers: readonly string[]
  readonly clientId: string
  /** Put before every topic and group name, such as `cordon.`. Default none. */
  readonly prefix?: string
  readonly ssl?: KafkaConfig['ssl']
  readonly sasl?: KafkaConfig['sasl']
  readonly log?: Logger
  /** Copies of each partition of topics that are created. Default the cluster's. */
  readonly replication?: number
  /** Copies that must have a record before it counts, for topics that are created. Default the cluster's. */
  readonly minInsyncReplicas?: number
  /**
   * A fetch waits until there are `minBytes`, at most `maxWaitMs`. More of either costs the brokers and this
   * process less and every event more time. Default 1 byte and 250 ms: at once.
   */
  readonly fetch?: { readonly minBytes?: number; readonly maxWaitMs?: number }
  /** How long a member may be silent before its partitions go to others. Default 10 s; brokers refuse less than 6 s by default. */
  readonly sessionMs?: number
}

export function createClient(options: KafkaBusOptions): Kafka {
  return new kafkajs.Kafka({
    clientId: options.clientId,
    brokers: [...options.brokers],
    ssl: options.ssl,
    sasl: options.sasl,
    retry: { initialRetryTime: 100, maxRetryTime: 2_000, retries: 8 },
    logLevel: kafkajs.logLevel.WARN,
    logCreator:
      () =>
      ({ level, log: { message, ...fields } }) => {
        if (level <= kafkajs.logLevel.ERROR) options.log?.error(fields, `kafka: ${message}`)
        else options.log?.warn(fields, `kafka: ${message}`)
      },
  })
}

const codes: Readonly<Record<string, BusErrorCode>> = {
  UNKNOWN_TOPIC_OR_PARTITION: 'UNKNOWN_TOPIC',
  MESSAGE_TOO_LARGE: 'TOO_LARGE',
  RECORD_LIST_TOO_LARGE: 'TOO_LARGE',
  INVALID_RECORD: 'INVALID_RECORD',
  INVALID_TIMESTAMP: 'INVALID_RECORD',
  CORRUPT_MESSAGE: 'INVALID_RECORD',
  REBALANCE_IN_PROGRESS: 'PARTITION_LOST',
  ILLEGAL_GENERATION: 'PARTITION_LOST',
  UNKNOWN_MEMBER_ID: 'PARTITION_LOST',
  FENCED_INSTANCE_ID: 'PARTITION_LOST',
}

/** A failure of kafkajs as one of ours; `doing` says what was tried. */
export function toBusError(error: unknown, doing: string): BusError {
  if (error instanceof BusError) return error
  const code = codes[typeOf(error) ?? ''] ?? 'BUS_UNAVAILABLE'
  const advice = code === 'BUS_UNAVAILABLE' ? '; try again when the brokers answer' : ''
  return new BusError(code, `${doing}: ${error instanceof Error ? error.message : String(error)}${advice}`, { cause: error })
}

/** The name of Kafka's own error code, at whatever depth kafkajs wrapped it. */
export function typeOf(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; at = at.cause, depth++) {
    if ('type' in at && typeof at.type === 'string' && at.type !== '') return at.type
  }
  return undefined
}
