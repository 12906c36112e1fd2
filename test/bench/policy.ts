// What a decision costs: for the default policies, and for a hundred, each as one that was made before and as a new one.
// CPU time of batches of twenty, in microseconds for each, since a busy machine's wall clock tells its neighbours; and the wall clock.
import { CedarEngine } from '../../policy/cedar.ts'
import { defaultFolder, readPolicies } from '../../policy/directory.ts'
import { type PolicyFile, policySetOf } from '../../policy/policy-set.ts'
import { ask } from '../policy/given.ts'

const batches = 400
const batch = 20

const hundred: PolicyFile = {
  name: 'hundred.cedar',
  text: Array.from(
    { length: 100 },
    (_, i) => `@id("p${i}") ${i === 0 ? 'permit' : 'forbid'} (principal, action, resource)
when { context.hour < 24 ${i === 0 ? '' : `&& principal has organization && principal.organization == "org-${i}" && context.hour > 3`} };`,
  ).join('\n'),
}

for (const [name, files] of [
  ['default', readPolicies(defaultFolder)],
  ['hundred', [hundred]],
] as const) {
  const engine = new CedarEngine(policySetOf(files))
  for (const [kind, principalOf] of [
    ['known', (i: number) => `p${i % 100}`],
    ['new', (i: number) => `p${i}`],
  ] as const) {
    for (let i = 0; i < 2_000; i++) engine.decide(ask({ principal: `warm${i % 100}` }))
    for (let i = 0; i < 100; i++) engine.decide(ask({ principal: `p${i}` }))
    let next = 100
    const cpu: number[] = []
    const wall: number[] = []
    for (let round = 0; round < batches; round++) {
      const requests = Array.from({ length: batch }, () => ask({ principal: principalOf(next++) }))
      const before = process.cpuUsage()
      for (const request of requests) wall.push(engine.decide(request).tookMicros)
      const { user, system } = process.cpuUsage(before)
      cpu.push((user + system) / batch)
    }
    const show = (values: number[], share: number) => (values.sort((a, b) => a - b)[Math.floor(values.length * share)] ?? 0).toFixed(1)
    const told = {
      policies: name,
      request: kind,
      cpuMedian: show(cpu, 0.5),
      cpuP99: show(cpu, 0.99),
      wallMedian: show(wall, 0.5),
      wallP99: show(wall, 0.99),
    }
    console.log(JSON.stringify(told))
  }
}
