import type { ConsolePorts, ContainmentView, DeadLetterView, InstanceView, KeyView, QueryResult } from '../../console/port.ts'
import type { Action, Finding, Incident, Model } from '../../schemas/index.ts'

export const at = Date.UTC(2026, 10, 21, 9)

export const finding: Finding = {
  id: 'a'.repeat(32),
  revision: 0,
  time: at,
  detector: 'near-duplicate-probing',
  version: 1,
  scope: 'digits',
  severity: 'high',
  confidence: 0.9995,
  threats: ['AML.T0043.001'],
  principals: ['mallory'],
  organizations: [],
  model: 'digits',
  workload: null,
  pool: null,
  title: '<img src=x onerror=alert(1)> walks towards a boundary',
  evidence: {
    family: 'boundary',
    order: [4, 7, 9, 12],
    parents: [0, 4, 4, 9],
    x: [-3, 2.4, 0.2, 0.9],
    y: [0, 0.3, -0.4, 0.6],
    distances: [3, 2.1, 1.4, 0.9],
    labels: [3, 8, 3, 8],
    margins: [0.98, 0.7, 0.1, 0.04],
    principal: [0, 0, 1, 1],
    by: ['mallory', '<b>trent</b>'],
  },
  window: { from: at - 900, until: at },
  eventsSeen: 14,
  decidedBy: null,
}

export const incident: Incident = {
  id: 'b'.repeat(32),
  state: 'contained',
  title: 'mallory probes digits',
  severity: 'high',
  confidence: 0.9995,
  threats: ['AML.T0043.001'],
  detectors: ['near-duplicate-probing'],
  principals: ['mallory'],
  organizations: [],
  models: ['digits'],
  workloads: [],
  pools: [],
  targets: ['principal:mallory'],
  findings: [finding.id],
  findingCount: 1,
  openedAt: at,
  updatedAt: at,
  repetitions: 0,
  closedAt: null,
}

export const model: Model = {
  name: 'digits',
  current: '2',
  versions: ['1', '2', '3'].map((version) => ({ version, digest: `d${version}`, good: true })),
}

export function containment(until: number): ContainmentView {
  return {
    id: 'principal:mallory/throttle-principal',
    target: 'principal:mallory',
    action: 'throttle-principal',
    parameters: { requests: 1, windowMs: 60_000 },
    reason: 'probing',
    owner: 'playbook:default',
    incident: incident.id,
    from: at,
    until,
    state: 'active',
    revision: 0,
    endedAt: null,
    endedBy: null,
    decidedAt: at,
    enforcedAfterMs: 21,
    acknowledgements: [{ lease: 'principal:mallory/throttle-principal', revision: 0, node: 'node-1', at: at + 21, enforcedAfterMs: 21 }],
    awaiting: ['node-2'],
  }
}

export function action(changes: Partial<Action> & Pick<Action, 'id'>): Action {
  return {
    incident: incident.id,
    responder: 'throttle-principal',
    effect: 'restrict',
    target: 'principal:mallory',
    parameters: {},
    reason: 'probing',
    owner: 'playbook:default',
    state: 'executed',
    plannedAt: at,
    until: at + 600_000,
    note: '',
    decidedAt: at,
    ...changes,
  }
}

export const deadLetter: DeadLetterView = {
  id: '019a0000-0000-7000-8000-000000000001',
  source: 'sink\u001b[2J',
  topic: 'flows',
  partition: 2,
  offset: 41,
  code: 'INVALID_DATA',
  reason: 'flows/2@41: not a valid flow: bytesOut: too \u001b[31mbig',
  key: 'w',
  headers: { ce_id: 'x', odd: '\u0007bell' },
  value: Buffer.from('{"bytesOut":\n"\u001b]0;owned\u0007"}').toString('base64'),
  size: 9_000,
  at,
}

/** A process as its heartbeat shows it. */
export function instance(changes: Partial<InstanceView> & Pick<InstanceView, 'role' | 'instance'>): InstanceView {
  return {
    version: '0.0.0',
    startedAt: at,
    at,
    heardAt: at,
    alive: true,
    everyMs: 2_000,
    state: 'running',
    ok: true,
    summary: 'at work',
    assignments: [],
    snapshotAgeMs: null,
    spoolBytes: null,
    deadLetters: 0,
    blockedSince: null,
    controlStaleMs: null,
    models: [],
    fingerprintKey: null,
    detail: {},
    ...changes,
  }
}

export interface FakePorts extends ConsolePorts {
  readonly calls: unknown[][]
  /** What a query of the library answers, or how it fails; and how the roles are. Settable. */
  status: ConsolePorts['status']
  deadLetters: { -readonly [P in keyof ConsolePorts['deadLetters']]: ConsolePorts['deadLetters'][P] }
  answer: (name: string) => Promise<QueryResult>
  emit(change: { finding?: Finding; incident?: Incident; containment?: ContainmentView }): void
}

/** Ports that answer from memory and keep what they were asked. */
export function fakePorts(until = at + 600_000): FakePorts {
  const calls: unknown[][] = []
  const listeners = {
    finding: new Set<(f: Finding) => void>(),
    incident: new Set<(i: Incident) => void>(),
    containment: new Set<(c: ContainmentView) => void>(),
  }
  const listen =
    <T>(set: Set<(value: T) => void>) =>
    (fn: (value: T) => void) => {
      set.add(fn)
      return () => void set.delete(fn)
    }
  let lease: ContainmentView = containment(until)
  const key: KeyView = {
    id: 'abcdefghijkl',
    keyId: 'abcdefghijkl',
    principal: 'alice',
    organization: null,
    state: 'active',
    createdAt: at,
    expiresAt: null,
    revokedAt: null,
    replaces: null,
    addresses: [],
    origins: [],
    roles: [],
    capabilities: ['inference'],
  }
  const fake: FakePorts = {
    calls,
    answer: async () => ({ columns: [], rows: [], elapsedMs: 1 }),
    emit: (change) => {
      if (change.finding) for (const fn of listeners.finding) fn(change.finding)
      if (change.incident) for (const fn of listeners.incident) fn(change.incident)
      if (change.containment) for (const fn of listeners.containment) fn(change.containment)
    },
    keys: {
      list: () => [key],
      create: async (request, by) => {
        calls.push(['create', request, by])
        return {
          keyId: 'abcdefghijkl',
          key: 'cordon_abcdefghijkl_secret',
          principal: request.principal,
          organization: request.organization ?? null,
        }
      },
      revoke: async (id, by) => {
        calls.push(['revoke', id, by])
        return id === key.id ? { ...key, state: 'revoked' } : null
      },
      rotate: async (what, _overlapMs, by) => {
        calls.push(['rotate', what, by])
        return what === 'alice' || what === key.id ? ['mnopqrstuvwx'] : []
      },
      claim: async (what, by) => {
        calls.push(['claim', what, by])
        return null
      },
    },
    models: {
      list: () => [model],
      promote: async (request, by) => {
        calls.push(['promote', request, by])
        return { ...model, current: request.version }
      },
    },
    incidents: { list: () => [incident], get: (id) => (id === incident.id ? incident : undefined), onChange: listen(listeners.incident) },
    findings: { recent: () => [finding], onChange: listen(listeners.finding) },
    actions: { ofIncident: () => [], waiting: () => [], approve: async () => null },
    containments: {
      list: () => [lease],
      get: (id) => (id === lease.id ? lease : undefined),
      contain: async (request) => {
        calls.push(['contain', request])
        return lease
      },
      release: async (id, by) => {
        calls.push(['release', id, by])
        if (id !== lease.id) return null
        lease = { ...lease, state: 'released', revision: 1, endedAt: at + 1, endedBy: by }
        return lease
      },
      onChange: listen(listeners.containment),
    },
    forensics: {
      list: () => [{ name: 'findings', summary: 'findings', parameters: [{ name: 'since', type: "Nullable(DateTime64(3, 'UTC'))" }] }],
      query: async (name, params) => {
        calls.push(['query', name, params])
        return fake.answer(name)
      },
      sql: async () => ({ columns: [{ name: 'one', type: 'UInt8' }], rows: [{ one: 1 }], elapsedMs: 1 }),
    },
    deadLetters: {
      list: async (filter) => {
        calls.push(['dead letters', filter])
        return filter.topic === undefined || filter.topic === deadLetter.topic ? [deadLetter] : []
      },
      get: async (id) => (id === deadLetter.id ? deadLetter : undefined),
      replay: async (id, by) => {
        calls.push(['replay', id, by])
        return id === deadLetter.id ? { topic: 'flows', partition: 2, offset: 77 } : null
      },
    },
    status: async () => ({
      version: '0.0.0',
      startedAt: at,
      ready: true,
      lag: { sink: 0, detect: 0, respond: 0 },
      lagMs: { sink: 0, detect: 0, respond: 0 },
      roles: [],
      instances: [instance({ role: 'detect', instance: 'detect-1' })],
      snapshotAgeMs: null,
      spoolBytes: 0,
      deadLetters: 0,
    }),
    limits: { list: () => [], sharesOf: () => [] },
    topics: async () => [],
  }
  return fake
}
