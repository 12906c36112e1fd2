import kafkajs, { type ISocketFactory, type Kafka, type KafkaConfig } from 'kafkajs'
import type { Logger } from 'pino'

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
  /** How long a member may be silent before its partitions go to others. Default 6 s, the least that brokers take by default. */
  readonly sessionMs?: number
  /** How long a broker may take to answer, beyond what it was asked to wait, before the others are asked instead. Default 5 s. */
  readonly requestMs?: number
  /** How long publishing goes on trying before the call fails. Default 20 s. */
  readonly publishMs?: number
}

/**
 * kafkajs with what it retries by itself kept short: who asks knows better what to try next.
 *
 * @param onComplaint told of what it takes for an error, which is tried again, and told to whoever waits when that is over
 */
export function createClient(
  options: KafkaBusOptions,
  socketFactory: ISocketFactory,
  onComplaint: (message: string, fields: object) => void,
): Kafka {
  return new kafkajs.Kafka({
    clientId: options.clientId,
    brokers: [...options.brokers],
    ssl: options.ssl,
    sasl: options.sasl,
    socketFactory,
    connectionTimeout: 3_000,
    authenticationTimeout: 3_000,
    retry: { initialRetryTime: 50, maxRetryTime: 200, retries: 2 },
    logLevel: kafkajs.logLevel.WARN,
    logCreator:
      () =>
      ({ log: { message, ...fields } }) =>
        onComplaint(message, fields),
  })
}
