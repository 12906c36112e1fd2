import { type EventId, FlowEvent, type Instant } from '../schemas/index.ts'
import { idFor } from './unreadable.ts'
import { type Rejected, readZeekLog, type ZeekEntry } from './zeek-log.ts'

/** A connection as a flow event's parts. The id follows from the log, so that a log read twice is stored once. */
export interface FlowRecord {
  readonly kind: 'flow'
  readonly line: number
  readonly id: EventId
  readonly time: Instant
  readonly data: FlowEvent
}

export interface ZeekOptions {
  /** The serving workload behind an originating address; null leaves its connections out. Default: the address itself. */
  readonly workloadOf?: (origin: string) => string | null
  readonly poolOf?: (origin: string) => string | null
  /** Host names by connection uid, from {@link readServerNames}. */
  readonly names?: ReadonlyMap<string, string>
}

const protocols: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp'])

/**
 * Reads Zeek's conn.log (docs.zeek.org, "conn.log"): one flow event a connection, timed at its first packet. Bytes are
 * payload bytes; a connection whose count Zeek does not know counts 0.
 */
export async function* parseZeekConn(lines: AsyncIterable<string>, options: ZeekOptions = {}): AsyncGenerator<FlowRecord | Rejected> {
  for await (const entry of readZeekLog(lines)) {
    const result = 'kind' in entry ? entry : flowOf(entry, options)
    if (result !== null) yield result
  }
}

/**
 * Names that connections were made to, by uid, of any of ssl.log (SNI), http.log (Host) and dns.log (the query).
 *
 * @param most names kept; later ones are left out
 */
export async function readServerNames(
  lines: AsyncIterable<string>,
  names: Map<string, string> = new Map(),
  most = 1_000_000,
): Promise<Map<string, string>> {
  for await (const entry of readZeekLog(lines)) {
    if ('kind' in entry || names.size >= most) continue
    const uid = entry.fields.get('uid')
    const name = entry.fields.get('server_name') ?? entry.fields.get('host') ?? entry.fields.get('query')
    if (uid !== undefined && name !== undefined && name !== '' && name.length <= 255 && !names.has(uid)) names.set(uid, name)
  }
  return names
}

function flowOf({ line, fields }: ZeekEntry, options: ZeekOptions): FlowRecord | Rejected | null {
  const origin = fields.get('id.orig_h') ?? ''
  const workload = options.workloadOf === undefined ? nameOf(origin) : options.workloadOf(origin)
  if (workload === null) return null
  const time = instantOf(fields.get('ts'))
  const uid = fields.get('uid') ?? null
  const data = FlowEvent.safeParse({
    workload,
    pool: options.poolOf?.(origin) ?? null,
    connection: uid,
    destination: {
      address: fields.get('id.resp_h') ?? '',
      port: numberOf(fields.get('id.resp_p')),
      name: (uid === null ? undefined : options.names?.get(uid)) ?? null,
    },
    protocol: protocols.has(fields.get('proto') ?? '') ? fields.get('proto') : 'other',
    service: fields.get('service')?.slice(0, 32) || null,
    bytesOut: numberOf(fields.get('orig_bytes')),
    bytesIn: numberOf(fields.get('resp_bytes')),
    durationMs: numberOf(fields.get('duration')) * 1_000,
  })
  if (time === null) return rejected(line, 'ts is no time since 1970', fields)
  if (!data.success) {
    const [issue] = data.error.issues
    return rejected(line, `${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'invalid'}`, fields)
  }
  const key = uid ?? [...fields.values()].join('\t')
  return { kind: 'flow', line, id: idFor(`zeek\n${key}\n${time}`, time), time, data: data.data }
}

function rejected(line: number, reason: string, fields: ReadonlyMap<string, string>): Rejected {
  return { kind: 'rejected', line, code: 'INVALID_DATA', reason, text: JSON.stringify(Object.fromEntries(fields)).slice(0, 200) }
}

/** An address as a name: those of IPv6 that begin with colons get a leading zero. */
function nameOf(address: string): string {
  return address.startsWith(':') ? `0${address}` : address
}

/** Absent counts 0; what is no number stays none, and the contract refuses it. */
function numberOf(text: string | undefined): number {
  return text === undefined || text === '' ? 0 : Number(text)
}

/** Seconds since the epoch with a fraction, or ISO 8601. */
function instantOf(text: string | undefined): Instant | null {
  if (text === undefined || text === '') return null
  const at = /^\d+(\.\d+)?(e\d+)?$/i.test(text) ? Math.round(Number(text) * 1_000) : Date.parse(text)
  return Number.isSafeInteger(at) && at >= 0 && at <= 8.64e15 ? at : null
}
