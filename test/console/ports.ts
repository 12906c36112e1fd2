import type { ConsolePorts, ContainmentView, KeyView } from '../../console/port.ts'
import type { Finding, Incident } from '../../schemas/index.ts'

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
  evidence: { distances: [3, 2.1, 1.4, 0.9], labels: [3, 8, 3, 8], family: 'boundary' },
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
  }
}

export interface FakePorts extends ConsolePorts {
  readonly calls: unknown[][]
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
  }
  return {
    calls,
    emit: (change) => {
      if (change.finding) for (const fn of listeners.finding) fn(change.finding)
      if (change.incident) for (const fn of listeners.incident) fn(change.incident)
      if (change.containment) for (const fn of listeners.containment) fn(change.containment)
    },
    keys: {
      list: () => [key],
      create: async (request) => {
        calls.push(['create', request])
        return {
          keyId: 'abcdefghijkl',
          key: 'cordon_abcdefghijkl_secret',
          principal: request.principal,
          organization: request.organization,
        }
      },
      revoke: async (id) => (id === key.id ? { ...key, state: 'revoked' } : null),
      rotate: async (what) => (what === 'alice' ? ['mnopqrstuvwx'] : []),
      claim: async () => null,
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
      list: () => [{ name: 'findings', summary: 'findings', parameters: [] }],
      query: async (name, params) => {
        calls.push(['query', name, params])
        return { columns: [], rows: [], elapsedMs: 1 }
      },
      sql: async () => ({ columns: [{ name: 'one', type: 'UInt8' }], rows: [{ one: 1 }], elapsedMs: 1 }),
    },
    status: async () => ({ version: '0.0.0', startedAt: at, ready: true, lag: { sink: 0, detect: 0, respond: 0 }, roles: [] }),
    topics: async () => [],
  }
}
