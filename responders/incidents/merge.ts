import type { Finding, Incident, Severity } from '../../schemas/index.ts'
import { severities } from '../../schemas/index.ts'
import { subjectsOf } from './subjects.ts'

export function openIncident(id: string, finding: Finding, repetitions: number): Incident {
  return {
    id,
    state: 'open',
    title: finding.title,
    severity: finding.severity,
    confidence: finding.confidence,
    threats: finding.threats,
    detectors: [finding.detector],
    principals: finding.principals,
    organizations: finding.organizations,
    models: some(finding.model),
    workloads: some(finding.workload),
    pools: some(finding.pool),
    targets: [...subjectsOf(finding)],
    findings: [finding.id],
    findingCount: 1,
    openedAt: finding.time,
    updatedAt: finding.time,
    repetitions,
    closedAt: null,
  }
}

/**
 * The incident with a finding in it. Severity and confidence only rise; the title is that of the gravest finding.
 *
 * @param counted whether the finding was counted before (an earlier revision of it, or a redelivery)
 */
export function mergeFinding(incident: Incident, finding: Finding, counted: boolean): Incident {
  const graver = isGraver(finding, incident)
  return {
    ...incident,
    title: graver ? finding.title : incident.title,
    severity: worse(incident.severity, finding.severity),
    confidence: Math.max(incident.confidence, finding.confidence),
    threats: union(incident.threats, finding.threats, 32),
    detectors: union(incident.detectors, [finding.detector], 32),
    principals: union(incident.principals, finding.principals, 256),
    organizations: union(incident.organizations, finding.organizations, 256),
    models: union(incident.models, some(finding.model), 32),
    workloads: union(incident.workloads, some(finding.workload), 32),
    pools: union(incident.pools, some(finding.pool), 32),
    targets: union(incident.targets, subjectsOf(finding), 512),
    findings: counted ? incident.findings : union(incident.findings, [finding.id], 100),
    findingCount: incident.findingCount + (counted ? 0 : 1),
    updatedAt: Math.max(incident.updatedAt, finding.time),
  }
}

export function rank(severity: Severity): number {
  return severities.indexOf(severity)
}

function isGraver(finding: Finding, incident: Incident): boolean {
  const step = rank(finding.severity) - rank(incident.severity)
  return step > 0 || (step === 0 && finding.confidence >= incident.confidence)
}

function worse(a: Severity, b: Severity): Severity {
  return rank(b) > rank(a) ? b : a
}

function some<T>(value: T | null): T[] {
  return value === null ? [] : [value]
}

/** Both, oldest first; over the bound the oldest go, for whoever came last is still to be dealt with. */
function union<T>(held: T[], more: readonly T[], bound: number): T[] {
  const added = more.filter((value) => !held.includes(value))
  if (added.length === 0) return held
  const all = [...held, ...added]
  return all.length <= bound ? all : all.slice(all.length - bound)
}
