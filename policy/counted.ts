import { Counter, Histogram, type Registry } from 'prom-client'
import type { PolicyDecision, PolicyEngine, PolicyRequest } from './port.ts'

/** Labels of policies that denied, so that no engine can make more of them. */
const mostLabels = 256

/** An engine whose denials are counted. */
export interface CountedEngine extends PolicyEngine {
  /** Decides, and counts nothing yet: for who asks what would be, or asks again. What came of it is for {@link note}. */
  consider(request: PolicyRequest): PolicyDecision | Promise<PolicyDecision>
  /** Counts what was considered, where it denies and stands. */
  note(decision: PolicyDecision): void
}

/** The same engine, counted. No label names a principal; those of policies are the operators' own words. */
export function counted(engine: PolicyEngine, registry: Registry): CountedEngine {
  const registers = [registry]
  const denials = new Counter({
    name: 'cordon_policy_denials_total',
    help: 'Requests that were not allowed, by policy; `none` where no policy permits it, `error` where it could not be decided',
    labelNames: ['policy'],
    registers,
  })
  const duration = new Histogram({
    name: 'cordon_policy_decision_seconds',
    help: 'How long a decision took',
    buckets: [0.000_005, 0.000_02, 0.000_1, 0.000_5, 0.001, 0.005, 0.02, 0.05, 0.1],
    registers,
  })
  const labels = new Set<string>()
  const labelOf = (policy: string) => {
    if (labels.size < mostLabels) labels.add(policy)
    return labels.has(policy) ? policy : 'other'
  }
  const note = ({ allowed, errors, policies }: PolicyDecision) => {
    if (allowed) return
    if (errors.length > 0) denials.inc({ policy: 'error' })
    else if (policies.length === 0) denials.inc({ policy: 'none' })
    else for (const policy of policies) denials.inc({ policy: labelOf(policy) })
  }
  const timed = (decision: PolicyDecision) => {
    duration.observe(decision.tookMicros / 1_000_000)
    return decision
  }
  const noted = (decision: PolicyDecision) => {
    note(decision)
    return decision
  }
  const consider = (request: PolicyRequest) => {
    const decision = engine.decide(request)
    return decision instanceof Promise ? decision.then(timed) : timed(decision)
  }
  return {
    get version() {
      return engine.version
    },
    decide: (request) => {
      const decision = consider(request)
      return decision instanceof Promise ? decision.then(noted) : noted(decision)
    },
    consider,
    note,
  }
}
