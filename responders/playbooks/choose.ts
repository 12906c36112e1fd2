import { type Action, type Finding, type Incident, type Instant, isGap } from '../../schemas/index.ts'
import { rank } from '../incidents/merge.ts'
import { anonymous } from '../leases/hold.ts'
import type { ContainmentResponder } from '../responder.ts'
import type { About, Playbook, PlaybookRule, PlaybookStep, Rule } from './playbook.ts'

/**
 * The rule that decides about a finding; null where none matches, and then the finding is only observed. A gap in sight is
 * never a reason to contain someone, whatever a playbook says.
 */
export function choose(playbook: Playbook, finding: Finding, repetitions: number): PlaybookRule | null {
  if (isGap(finding)) return null
  return playbook.rules.find((rule) => matches(rule.when, finding, repetitions)) ?? null
}

/** What the steps of a rule would do about a finding, as actions in state `planned`. Pure: a dry run shows this. */
export function planActions(
  playbook: Playbook,
  rule: PlaybookRule,
  finding: Finding,
  incident: Incident,
  now: Instant,
  hash: (text: string) => string,
): readonly Action[] {
  const subject = narrowed(incident, finding)
  return rule.steps.flatMap((step) =>
    step.responder.plan(subject, step.parameters, now, finding).map((planned): Action => {
      const degree = degreeOf(step.responder, planned.parameters, step.durationMs)
      const renewal = step.responder.once ? 0 : renewalOf(incident, finding, step)
      return {
        id: hash(`action:${incident.id}:${step.responder.id}:${planned.target}:${degree}:${renewal}`),
        incident: incident.id,
        responder: step.responder.id,
        effect: step.responder.effect,
        target: planned.target,
        parameters: planned.parameters,
        reason: planned.reason,
        owner: `playbook:${playbook.id}/${rule.id}`,
        state: 'planned',
        plannedAt: now,
        until: planned.until,
        note: '',
        decidedAt: finding.time,
      }
    }),
  )
}

function aboutOf(finding: Finding): About | null {
  if (finding.principals.some((name) => name !== anonymous)) return 'principal'
  if (finding.pool !== null) return 'pool'
  if (finding.workload !== null) return 'workload'
  return finding.model === null ? null : 'model'
}

function matches(when: Rule['when'], finding: Finding, repetitions: number): boolean {
  if (when.detectors !== undefined && !when.detectors.includes(finding.detector)) return false
  const about = aboutOf(finding)
  if (when.about !== undefined && (about === null || !when.about.includes(about))) return false
  if (rank(finding.severity) < rank(when.minSeverity)) return false
  return finding.confidence >= when.minConfidence && repetitions >= when.minRepetitions
}

/** The incident seen through one finding: nobody is contained on the strength of what somebody else did. */
function narrowed(incident: Incident, finding: Finding): Incident {
  const some = (name: string | null) => (name === null ? [] : [name])
  return {
    ...incident,
    title: finding.title,
    principals: finding.principals,
    organizations: finding.organizations,
    models: some(finding.model),
    workloads: some(finding.workload),
    pools: some(finding.pool),
  }
}

/** Settings and length, in one order whatever the order they were written in. */
function degreeOf(responder: ContainmentResponder, parameters: Action['parameters'], durationMs: number): string {
  const settings = Object.entries(parameters).sort(([a], [b]) => (a < b ? -1 : 1))
  return JSON.stringify([responder.id, settings, durationMs])
}

/** Counts half-durations since the incident opened: an attack that goes on renews its lease twice a term, and no more. */
function renewalOf(incident: Incident, finding: Finding, step: PlaybookStep): number {
  return Math.max(0, Math.floor((finding.time - incident.openedAt) / (step.durationMs / 2)))
}
