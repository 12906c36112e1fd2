import { createHash } from 'node:crypto'
import type { DataOf, EventOf } from '../../schemas/index.ts'
import { plainInference, topics, uuidv7 } from '../../schemas/index.ts'
import type { Row, Store, StoredKind, TableName } from '../../store/index.ts'
import { rowOf, tableOf } from '../../store/index.ts'

/** 2026-01-01T00:00:00Z. */
export const start = Date.UTC(2026, 0, 1)
export const second = 1_000
export const minute = 60 * second

/** The same id for the same name, so that tests can point at events. */
export function idOf(name: string, at = start): string {
  return uuidv7(at, createHash('sha256').update(name).digest())
}

/** A hash-shaped id of a finding, an incident or an action. */
export function hashOf(name: string): string {
  return createHash('sha256').update(name).digest('hex').slice(0, 32)
}

export function int16(values: readonly number[]): string {
  return Buffer.from(new Uint8Array(Int16Array.from(values).buffer)).toString('base64')
}

export function uint32(values: readonly number[]): string {
  return Buffer.from(new Uint8Array(Uint32Array.from(values).buffer)).toString('base64')
}

export const request: DataOf<'request'> = {
  principal: 'alice',
  organization: 'acme',
  keyId: 'key-a',
  model: 'digits',
  version: 'v1',
  pool: 'a',
  node: 'node-1',
  outcome: 'served',
  status: 200,
  hardening: 'none',
  items: 1,
  bytesIn: 1_000,
  bytesOut: 100,
  durationMs: 4,
  queueMs: 1,
  tokensIn: 10,
  tokensOut: 2,
  cost: 0.5,
  client: 'c1',
  agent: 'a1',
  answeredAt: start,
  lease: null,
  confidence: 0.9,
  ...plainInference,
}

export const fingerprint: DataOf<'fingerprint'> = {
  request: idOf('request'),
  index: 0,
  principal: 'alice',
  organization: 'acme',
  keyId: 'key-a',
  model: 'digits',
  version: 'v1',
  node: 'node-1',
  profile: 'p1',
  epoch: 1,
  exact: '00000000000000aa',
  sketch: int16([0, 0]),
  scale: 0.5,
  bands: uint32([7, 4_294_967_295]),
  residual: 1,
  residualTail: 0.5,
  confidenceTail: 0.5,
  classTail: 0.5,
  referenceDistance: 6,
  output: { label: 3, confidence: 0.9, margin: 0.8, entropy: 0.1 },
  hardening: 'none',
  answered: true,
  client: 'c1',
  agent: 'a1',
  keyCreatedAt: null,
}

export const prompt: DataOf<'prompt'> = {
  request: idOf('request'),
  principal: 'alice',
  organization: 'acme',
  keyId: 'key-a',
  keyCreatedAt: start,
  client: 'c1',
  agent: 'a1',
  model: 'language',
  version: '1',
  node: 'node-1',
  operation: 'chat',
  outcome: 'served',
  hardening: 'none',
  epoch: 1,
  exact: '00000000000000aa',
  system: null,
  bytes: 44,
  messages: 2,
  // Hash 7, eleven characters, three bits each; hash 2³² − 1, 255 and more.
  chunks: Buffer.from([7, 0, 0, 0, 11, 24, 255, 255, 255, 255, 255, 255]).toString('base64'),
  surprise: 3.1,
  learned: 500,
  tokensIn: 12,
  tokensOut: 40,
  finishReasons: ['stop'],
  sampling: {
    temperature: 0.7,
    topP: null,
    maxTokens: 64,
    choices: 2,
    topLogprobs: 5,
    logitBias: { tokens: 3, largest: 100, hash: '00000000000000bb' },
  },
  refused: false,
  answer: '00000000000000cc',
  canaries: ['vault'],
}

export const finding: DataOf<'finding'> = {
  id: hashOf('finding'),
  revision: 0,
  time: start,
  detector: 'near-duplicate-probing',
  version: 1,
  scope: 'digits',
  severity: 'high',
  confidence: 0.97,
  threats: ['AML.T0043.001'],
  principals: ['alice'],
  organizations: ['acme'],
  model: 'digits',
  workload: null,
  pool: null,
  title: 'near-duplicates of one input',
  evidence: { queries: 12, distances: [0.1, 0.2] },
  window: { from: start, until: start },
  eventsSeen: 12,
  decidedBy: null,
}

export const incident: DataOf<'incident'> = {
  id: hashOf('incident'),
  state: 'open',
  title: 'probing of digits',
  severity: 'high',
  confidence: 0.97,
  threats: ['AML.T0043.001'],
  detectors: ['near-duplicate-probing'],
  principals: ['alice'],
  organizations: ['acme'],
  models: ['digits'],
  workloads: [],
  pools: [],
  targets: ['principal:alice'],
  findings: [hashOf('finding')],
  findingCount: 1,
  openedAt: start,
  updatedAt: start,
  repetitions: 0,
  closedAt: null,
}

export const action: DataOf<'action'> = {
  id: hashOf('action'),
  incident: incident.id,
  responder: 'throttle-principal',
  effect: 'restrict',
  target: 'principal:alice',
  parameters: { rate: 1 },
  reason: 'probing',
  owner: 'playbook:default',
  state: 'executed',
  plannedAt: start,
  until: start + 10 * minute,
  note: '',
  decidedAt: null,
}

export const containment: DataOf<'containment'> = {
  id: 'principal:alice/throttle-principal',
  target: 'principal:alice',
  action: 'throttle-principal',
  parameters: { rate: 1 },
  reason: 'probing',
  owner: 'playbook:default',
  incident: incident.id,
  from: start,
  until: start + 10 * minute,
  state: 'active',
  revision: 1,
  endedAt: null,
  endedBy: null,
  decidedAt: start,
}

export const acknowledgement: DataOf<'acknowledgement'> = {
  lease: containment.id,
  revision: 1,
  node: 'node-1',
  at: start,
  enforcedAfterMs: 12,
}

export const flow: DataOf<'flow'> = {
  workload: 'serving-a',
  pool: null,
  connection: null,
  destination: { address: '203.0.113.7', port: 443, name: 'sink.example' },
  protocol: 'tcp',
  service: 'ssl',
  bytesOut: 100,
  bytesIn: 10,
  durationMs: 5,
}

export const telemetry: DataOf<'telemetry'> = {
  node: 'node-1',
  pool: null,
  requests: 0,
  emitted: 0,
  dropped: 0,
  spoolBytes: 0,
  loopDelayMs: 1,
  memoryBytes: 1,
  tensorBytes: 0,
  queueDepth: 0,
  everyMs: 5_000,
  closing: false,
  controlStaleMs: 0,
}

export const command: DataOf<'command'> = {
  id: idOf('command'),
  by: 'ann',
  at: start,
  expiresAt: start + minute,
  order: { kind: 'release', lease: containment.id },
}

export const outcome: DataOf<'outcome'> = {
  command: command.id,
  ok: true,
  code: null,
  error: null,
  result: { lease: containment.id },
  at: start + second,
}

export const deadLetter: DataOf<'dead-letter'> = {
  topic: 'requests',
  partition: 0,
  offset: 99,
  code: 'MALFORMED_JSON',
  reason: 'the value is not JSON in UTF-8',
  key: null,
  headers: { ce_id: 'x' },
  value: 'eA==',
  size: 1,
  at: start,
}

/** Collects events as rows, each at the next offset of its table, and stores them. */
export class Story {
  readonly #rows = new Map<TableName, Row[]>()

  tell<K extends StoredKind>(kind: K, at: number, data: DataOf<K>, name = `${kind}-${at}-${JSON.stringify(data)}`): string {
    const table = tableOf(kind)
    if (table === null) throw new TypeError(`no table keeps ${kind}`)
    const rows = this.#rows.get(table) ?? []
    this.#rows.set(table, rows)
    const id = idOf(name, at)
    const topic = Object.values(topics).find((one) => one.kind === kind)?.name ?? ''
    rows.push(rowOf({ kind, id, time: at, source: 'test', data } as EventOf<K>, { topic, partition: 0, offset: rows.length }))
    return id
  }

  async store(store: Store): Promise<void> {
    for (const [table, rows] of this.#rows) await store.insert(table, rows, `story:${table}`)
  }
}
