import { CedarEngine } from '../../policy/cedar.ts'
import { defaultFolder, readPolicies } from '../../policy/directory.ts'
import { type PolicyFile, policySetOf } from '../../policy/policy-set.ts'
import { ask } from '../policy/given.ts'
import { quantile } from './quantile.ts'

const batch = 20

/** Of one decision, microseconds. Of the wall clock's p99 the aim is less than 1,000. */
export interface PolicyCost {
  /** CPU time over batches of twenty, since a busy machine's wall clock tells its neighbours. */
  readonly cpuMicros: { readonly p50: number; readonly p99: number }
  readonly wallMicros: { readonly p50: number; readonly p99: number }
}

export interface PolicyBench {
  /** What was decided before, and is remembered; and what was not. */
  readonly known: PolicyCost
  readonly new: PolicyCost
}

const hundred: PolicyFile = {
  name: 'hundred.cedar',
  text: Array.from(
    { length: 100 },
    (_, i) => `@id("p${i}") ${i === 0 ? 'permit' : 'forbid'} (principal, action, resource)
when { context.hour < 24 ${i === 0 ? '' : `&& principal has organization && principal.organization == "org-${i}" && context.hour > 3`} };`,
  ).join('\n'),
}

/** What a decision costs, by the default policies and by a hundred. */
export function benchPolicy(batches: number): Readonly<Record<'default' | 'hundred', PolicyBench>> {
  return { default: costOf(readPolicies(defaultFolder), batches), hundred: costOf([hundred], batches) }
}

function costOf(files: readonly PolicyFile[], batches: number): PolicyBench {
  const engine = new CedarEngine(policySetOf(files))
  for (let i = 0; i < 2_000; i++) engine.decide(ask({ principal: `warm${i % 100}` }))
  for (let i = 0; i < 100; i++) engine.decide(ask({ principal: `p${i}` }))
  return { known: timed(engine, batches, (i) => `p${i % 100}`), new: timed(engine, batches, (i) => `new${i}`) }
}

function timed(engine: CedarEngine, batches: number, principalOf: (i: number) => string): PolicyCost {
  const cpu: number[] = []
  const wall: number[] = []
  for (let round = 0; round < batches; round++) {
    const requests = Array.from({ length: batch }, (_, i) => ask({ principal: principalOf(round * batch + i) }))
    const before = process.cpuUsage()
    for (const request of requests) wall.push(engine.decide(request).tookMicros)
    const { user, system } = process.cpuUsage(before)
    cpu.push((user + system) / batch)
  }
  return { cpuMicros: spread(cpu), wallMicros: spread(wall) }
}

function spread(micros: readonly number[]): PolicyCost['cpuMicros'] {
  return { p50: rounded(quantile(micros, 0.5)), p99: rounded(quantile(micros, 0.99)) }
}

function rounded(micros: number): number {
  return Number(micros.toFixed(1))
}
