import type { EventOf, Instant, Kind, Order, PromptSampling } from '../schemas/index.ts'

/** Tables of events; the columns are in migrations/. */
export const tables = [
  'requests',
  'fingerprints',
  'prompts',
  'telemetry',
  'flows',
  'findings',
  'incidents',
  'actions',
  'containments',
  'acknowledgements',
  'commands',
  'outcomes',
  'audit',
  'dead_letters',
] as const
export type TableName = (typeof tables)[number]

/** A row by column, as JSON can carry it. */
export type Row = Readonly<Record<string, unknown>>

/** Where an event stands on the bus. */
export interface RowOrigin {
  readonly topic: string
  readonly partition: number
  readonly offset: number
}

/** The kinds of event that the store keeps. Keys, models, risks and shares of limits are control state, ticks, heartbeats and terms the processes' own. */
export type StoredKind = Exclude<Kind, 'tick' | 'key' | 'model' | 'risk' | 'share' | 'spending' | 'heartbeat' | 'term'>

/** The newest instant that DateTime64 holds: the end of 2299. */
const latest = Date.UTC(2299, 11, 31, 23, 59, 59, 999)

/** Milliseconds, as the engine's DateTime64(3) reads an integer. Event time is the source's word and can be anything. */
function instant(at: Instant): number {
  return at > latest ? latest : at
}

function instantOrNull(at: Instant | null): number | null {
  return at === null ? null : instant(at)
}

function envelope(event: EventOf<Kind>, origin: RowOrigin) {
  return {
    id: event.id,
    time: instant(event.time),
    source: event.source,
    topic: origin.topic,
    partition: origin.partition,
    offset: origin.offset,
  }
}

type ToRow = { [K in StoredKind]: { readonly table: TableName; readonly columns: (data: EventOf<K>['data']) => Row } }

const mappings: ToRow = {
  request: {
    table: 'requests',
    columns: ({ sampling, ...rest }) => ({ ...rest, ...sampling, answeredAt: instant(rest.answeredAt) }),
  },
  fingerprint: {
    table: 'fingerprints',
    columns: ({ sketch, bands, output, keyCreatedAt, ...rest }) => ({
      ...rest,
      ...output,
      sketchBase64: sketch,
      bandsBase64: bands,
      keyCreatedAt: instantOrNull(keyCreatedAt),
    }),
  },
  prompt: {
    table: 'prompts',
    columns: ({ chunks, sampling, keyCreatedAt, ...rest }) => ({
      ...rest,
      ...columnsOf(sampling),
      chunksBase64: chunks,
      keyCreatedAt: instantOrNull(keyCreatedAt),
    }),
  },
  telemetry: { table: 'telemetry', columns: (d) => d },
  flow: {
    table: 'flows',
    columns: ({ destination, ...rest }) => ({
      ...rest,
      destinationAddress: destination.address,
      destinationPort: destination.port,
      destinationName: destination.name,
    }),
  },
  finding: {
    table: 'findings',
    columns: ({ id, time, window, evidence, ...rest }) => ({
      ...rest,
      finding: id,
      raisedAt: instant(time),
      evidence: JSON.stringify(evidence),
      windowFrom: instant(window.from),
      windowUntil: instant(window.until),
    }),
  },
  incident: {
    table: 'incidents',
    columns: ({ id, ...rest }) => ({
      ...rest,
      incident: id,
      openedAt: instant(rest.openedAt),
      updatedAt: instant(rest.updatedAt),
      closedAt: instantOrNull(rest.closedAt),
    }),
  },
  action: {
    table: 'actions',
    columns: ({ id, parameters, ...rest }) => ({
      ...rest,
      action: id,
      parameters: JSON.stringify(parameters),
      plannedAt: instant(rest.plannedAt),
      until: instant(rest.until),
      decidedAt: instantOrNull(rest.decidedAt),
    }),
  },
  containment: {
    table: 'containments',
    columns: ({ id, from, parameters, ...rest }) => ({
      ...rest,
      lease: id,
      parameters: JSON.stringify(parameters),
      startedAt: instant(from),
      until: instant(rest.until),
      endedAt: instantOrNull(rest.endedAt),
      decidedAt: instantOrNull(rest.decidedAt),
    }),
  },
  acknowledgement: { table: 'acknowledgements', columns: (d) => ({ ...d, at: instant(d.at) }) },
  command: {
    table: 'commands',
    columns: ({ id, by, at, expiresAt, order: { kind, ...order } }) => ({
      command: id,
      person: by,
      orderedAt: instant(at),
      expiresAt: instant(expiresAt),
      kind,
      subject: subjectOf({ kind, ...order } as Order),
      parameters: withoutHashes(order),
    }),
  },
  outcome: {
    table: 'outcomes',
    columns: ({ at, result, ...rest }) => ({ ...rest, result: withoutHashes(result), answeredAt: instant(at) }),
  },
  audit: { table: 'audit', columns: (d) => d },
  'dead-letter': {
    table: 'dead_letters',
    columns: ({ topic, partition, offset, at, ...rest }) => ({
      ...rest,
      fromTopic: topic,
      fromPartition: partition,
      fromOffset: offset,
      at: instant(at),
    }),
  },
}

/** Without sampling the columns have their defaults. */
function columnsOf(sampling: PromptSampling | null): Row {
  if (sampling === null) return {}
  const { logitBias, ...rest } = sampling
  return logitBias === null ? rest : { ...rest, biasedTokens: logitBias.tokens, largestBias: logitBias.largest, biasHash: logitBias.hash }
}

/** What an order is about. */
export function subjectOf(order: Order): string {
  switch (order.kind) {
    case 'contain':
      return order.target
    case 'release':
      return order.lease
    case 'approve':
    case 'decline':
      return `action:${order.action}`
    case 'create-key':
      return `principal:${order.key.principal}`
    case 'revoke-key':
      return `key:${order.keyId}`
    case 'rotate-key':
    case 'claim-key':
      return order.what
    case 'promote-model':
      return `model:${order.model}`
    case 'replay-dead-letter':
      return `dead-letter:${order.letter}`
  }
}

/** JSON for a table that analysts read: a key's hash is for who checks keys. */
function withoutHashes(value: unknown): string {
  return JSON.stringify(value, (name, inner: unknown) => (name === 'hash' ? undefined : inner)) ?? 'null'
}

/** The table that keeps a kind of event; null for kinds that are not kept. */
export function tableOf(kind: Kind): TableName | null {
  return kind in mappings ? mappings[kind as StoredKind].table : null
}

/**
 * The row that keeps an event.
 *
 * @param event of a kind that {@link tableOf} knows
 */
export function rowOf<K extends StoredKind>(event: EventOf<K>, origin: RowOrigin): Row {
  const columns: (data: EventOf<K>['data']) => Row = mappings[event.kind as K].columns
  return { ...columns(event.data), ...envelope(event as EventOf<Kind>, origin) }
}
