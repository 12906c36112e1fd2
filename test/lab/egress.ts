import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import { beacons, type EgressAttack, throughKnown, uploads } from '../attacks/egress-exfiltration.ts'
import { seeded } from '../attacks/random.ts'
import { drawTraits, type TimedFlow, workloadFlows } from '../benign/egress-workload.ts'
import { captures } from './egress-captures.ts'
import { labOptions } from './options.ts'
import { eventOf, inMemory } from './stream.ts'

const about = 'Measures egress-anomaly on generated workloads and, with --data, on recorded captures.'

const options = labOptions(about, {
  data: { type: 'string' },
  split: { type: 'string', default: 'held-back' },
  workloads: { type: 'string', default: '40' },
  days: { type: 'string', default: '3' },
  runs: { type: 'string', default: '40' },
  json: { type: 'boolean', default: false },
})
const firstSeed = options.split === 'development' ? 1 : 2_000_001
const start = Date.UTC(2026, 0, 5)
const minute = 60_000
const rows: Record<string, string | number>[] = []

function report(row: Record<string, string | number>): void {
  rows.push(row)
  const line = Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(' · ')
  // With --json standard output is the table alone; progress goes beside it.
  if (options.json) console.error(line)
  else console.log(line)
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN
}

/** Flows of `a` and `b` in time order. */
function* merged(a: Generator<TimedFlow>, b: Generator<TimedFlow>): Generator<TimedFlow & { attack: boolean }> {
  let [x, y] = [a.next(), b.next()]
  while (!x.done || !y.done) {
    if (!x.done && (y.done || x.value.at <= y.value.at)) {
      yield { ...x.value, attack: false }
      x = a.next()
    } else if (!y.done) {
      yield { ...y.value, attack: true }
      y = b.next()
    }
  }
}

function benign(name: string, backups: boolean, expected: readonly string[]): void {
  const until = start + Number(options.days) * 24 * 60 * minute
  const reasons: Record<string, number> = {}
  let [flows, episodes, spent] = [0, 0, 0]
  const touched = new Set<string>()
  for (let w = 0; w < Number(options.workloads); w++) {
    const random = seeded(firstSeed + w)
    const traits = drawTraits(random, w, backups)
    const see = inMemory(egressAnomaly, { expected })
    const opened = new Set<string>()
    for (const flow of workloadFlows(traits, random, start)) {
      if (flow.at >= until) break
      const event = eventOf('flow', flow.at, flows++, flow.data)
      const before = performance.now()
      const findings = see(event)
      spent += performance.now() - before
      for (const f of findings) {
        if (opened.has(f.opened)) continue
        opened.add(f.opened)
        touched.add(traits.workload)
        const key = `${String(f.evidence['reason'])} ${f.severity} ${String(f.evidence['name'] ?? f.evidence['port'])}`
        reasons[key] = (reasons[key] ?? 0) + 1
      }
    }
    episodes += opened.size
  }
  const workloadDays = Number(options.workloads) * Number(options.days)
  report({
    benign: name,
    flows,
    'workload-days': workloadDays,
    'false episodes': episodes,
    'per million flows': ((episodes / flows) * 1e6).toFixed(2),
    'per workload-day': (episodes / workloadDays).toFixed(4),
    'workloads touched': touched.size,
    'µs a flow': ((spent / flows) * 1e3).toFixed(2),
    which: Object.entries(reasons)
      .map(([reason, n]) => `${reason}×${n}`)
      .join(', '),
  })
}

/** @param lead minutes of ordinary traffic before the attack */
function attacked(attack: EgressAttack, lead: number): void {
  const runs = Number(options.runs)
  const [counts, seconds]: [number[], number[]] = [[], []]
  const severities: Record<string, number> = {}
  for (let r = 0; r < runs; r++) {
    const random = seeded(firstSeed + 5_000 + r)
    const traits = { ...drawTraits(random, r, false), rate: random.between(0.3, 2) }
    const see = inMemory(egressAnomaly, {})
    const from = start + lead * minute
    const horizon = from + 6 * 60 * minute
    let [n, sent, last] = [0, 0, '']
    for (const flow of merged(workloadFlows(traits, random, start), attack.flows(traits, random, from))) {
      if (flow.at > horizon) break
      if (flow.attack) sent++
      const findings = see(eventOf('flow', flow.at, n++, flow.data))
      if (!flow.attack || findings.length === 0) continue
      if (last === '') {
        counts.push(sent)
        seconds.push((flow.at - from) / 1_000)
      }
      last = findings.at(-1)?.severity ?? last
      if (last === 'critical' || last === 'high' || (attack.name.startsWith('beacon') && last !== '')) break
    }
    severities[last || 'missed'] = (severities[last || 'missed'] ?? 0) + 1
  }
  counts.sort((a, b) => a - b)
  seconds.sort((a, b) => a - b)
  report({
    attack: attack.name,
    'after min': lead,
    caught: `${counts.length}/${runs}`,
    'flows median': quantile(counts, 0.5),
    p95: quantile(counts, 0.95),
    'seconds median': Math.round(quantile(seconds, 0.5)),
    's p95': Math.round(quantile(seconds, 0.95)),
    severities: Object.entries(severities)
      .map(([s, k]) => `${s}×${k}`)
      .join(', '),
  })
}

for (const attack of [...uploads, throughKnown]) attacked(attack, 2)
for (const attack of beacons) attacked(attack, 10)
for (const attack of uploads.slice(0, 5)) attacked(attack, 24 * 60)
benign('no backups', false, [])
benign('backups, declared', true, ['backup.bucket.example'])
benign('backups, not declared', true, [])
if (options.data !== undefined) for (const row of await captures(options.data, firstSeed)) report(row)
if (options.json) console.log(JSON.stringify(rows, null, 2))
