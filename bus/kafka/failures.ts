import { BusError, type BusErrorCode } from '../errors.ts'

/** A broker that does not answer. */
export class NoAnswer extends Error {
  override readonly name = 'NoAnswer'
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
  TOPIC_AUTHORIZATION_FAILED: 'BUS_FORBIDDEN',
  GROUP_AUTHORIZATION_FAILED: 'BUS_FORBIDDEN',
  CLUSTER_AUTHORIZATION_FAILED: 'BUS_FORBIDDEN',
  INVALID_REPLICATION_FACTOR: 'TOPIC_MISMATCH',
}

const advices: Partial<Record<BusErrorCode, string>> = {
  BUS_UNAVAILABLE: '; try again when the brokers answer',
  BUS_FORBIDDEN: '; give this credential what `cordon topics acls` prints for its role',
  BUS_UNTRUSTED: '; see that the brokers’ certificates name their hosts and are signed by the authority given, and ours by theirs',
}

/** A failure of kafkajs as one of ours; `doing` says what was tried. */
export function toBusError(error: unknown, doing: string): BusError {
  if (error instanceof BusError) return error
  const code = codeOf(error)
  const advice = isStranger(error)
    ? '; see bus.username, bus.password and bus.mechanism, and that the brokers have this user'
    : advices[code]
  return new BusError(code, `${doing}: ${error instanceof Error ? error.message : String(error)}${advice ?? ''}`, { cause: error })
}

function codeOf(error: unknown): BusErrorCode {
  if (causes(error).some((cause) => 'code' in cause && typeof cause.code === 'string' && /CERT|SIGNATURE|ERR_SSL|ERR_TLS/.test(cause.code)))
    return 'BUS_UNTRUSTED'
  if (isStranger(error)) return 'BUS_FORBIDDEN'
  return codes[typeOf(error) ?? ''] ?? 'BUS_UNAVAILABLE'
}

/** The brokers know no such user, or not by this password or mechanism. */
function isStranger(error: unknown): boolean {
  const named = causes(error).some((cause) => cause.name === 'KafkaJSSASLAuthenticationError')
  return named || ['SASL_AUTHENTICATION_FAILED', 'UNSUPPORTED_SASL_MECHANISM'].includes(typeOf(error) ?? '')
}

/** The name of Kafka's own error code, at whatever depth kafkajs wrapped it. */
export function typeOf(error: unknown): string | undefined {
  const typed = causes(error).find((cause) => 'type' in cause && typeof cause.type === 'string' && cause.type !== '')
  return typed === undefined ? undefined : String((typed as Error & { type: string }).type)
}

const broken = new Set([
  'NoAnswer',
  'KafkaJSConnectionError',
  'KafkaJSConnectionClosedError',
  'KafkaJSRequestTimeoutError',
  'KafkaJSLockTimeout',
  'KafkaJSBrokerNotFound',
  'KafkaJSMetadataNotLoaded',
  'KafkaJSTopicMetadataNotLoaded',
])

/** Whether the way to the broker failed, rather than the broker refused. */
export function isBroken(error: unknown): boolean {
  return causes(error).some((cause) => broken.has(cause.name) || ('code' in cause && cause.code === 'ECONNREFUSED'))
}

/** The error, what caused it, and what that gathers. */
export function causes(error: unknown): Error[] {
  const found: Error[] = []
  for (let at = error; at instanceof Error && found.length < 5; at = at.cause) found.push(at)
  // Requests that concern several topics fail with an error for each.
  return found.flatMap((each) => ('errors' in each && Array.isArray(each.errors) ? [each, ...each.errors.slice(0, 5)] : [each]))
}
