import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { count, fromCommandLine } from '../command-line.ts'
import { quantile } from './quantile.ts'
import type { Child } from './serving/child.ts'
import type { LoadResult, OpenLoad } from './serving/generator.ts'
import type { NodeState } from './serving/node.ts'
import { measure, openGenerator, openLocalNode, openUpstream, type Round, type Side } from './serving/sides.ts'
import type { Usage } from './serving/usage.ts'
import { kindsOf, type Sort } from './soak-kinds.ts'
import { type Rest, type Sample, verdictOf } from './soak-verdict.ts'

const usage = `npm run bench:soak -- [options]

Finds every twelve seconds how much a node takes, sends 80 % of that at a fixed rate, and says by stated rules whether it held out:
memory, tensors, latency, CPU time, spool and statuses. Status 1 where it did not. Nothing else should run on the machine.

  --minutes N   how long (default 10)
  --json        one object on standard output, and no progress`

const flags = fromCommandLine(usage, () => {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, json: { type: 'boolean' } } })
  return { minutes: count('minutes', values.minutes, 1), json: values.json === true }
})
/** A machine's speed changes within minutes: each slice asks again how much the node takes, and sends its share of that. */
const fullMs = 3_000
const sliceMs = 9_000
const warmSlices = 3
const share = 0.8
const connections = 256
/** The runtime counts its tensors every few seconds. */
const restMs = 8_000
const mebibyte = 1_048_576

interface Slice extends Sample {
  readonly heapBytes: number
  readonly externalBytes: number
  readonly loopP99Ms: number
  readonly state: NodeState
}

/** Counts by kind: answers of a status that it should not have, and all. */
interface Tallies {
  readonly unexpected: Map<string, number>
  readonly answered: Map<string, number>
}

const say = (line: string) => {
  if (!flags.json) console.error(line)
}

/** As much as the node takes: 64 clients ask as fast as they can. */
async function fill(generator: Child, { child, port }: Side, kinds: readonly Sort[], tallies: Tallies): Promise<Round> {
  const round = await measure(generator, child, { port, kinds, clients: 64, ms: fullMs })
  note(round, kinds, tallies)
  return round
}

async function restOf({ child }: Side): Promise<Rest> {
  await delay(restMs)
  const { tensorBytes, spoolBytes, dropped } = await child.ask<NodeState>('state')
  return { tensorBytes, spoolBytes, dropped }
}

async function sliceOf(generator: Child, node: Side, kinds: readonly Sort[], startedAt: number, tallies: Tallies): Promise<Slice> {
  const { child, port } = node
  const { perSecond: capacity, cpuMicros } = await fill(generator, node, kinds, tallies)
  const rate = capacity * share
  const order: OpenLoad = { port, kinds, rate, connections, ms: sliceMs }
  const result = await generator.ask<LoadResult>('send', order)
  note(result, kinds, tallies)
  const usage = await child.ask<Usage>('usage')
  const state = await child.ask<NodeState>('state')
  const { p50Ms, p99Ms, perSecond } = result
  return {
    ...{ minute: (performance.now() - startedAt) / 60_000, capacity, cpuMicros },
    ...{ p50Ms, p99Ms, kept: Math.min(1, perSecond / rate), state },
    ...{
      rssBytes: usage.rss,
      heapBytes: usage.heapUsed,
      liveBytes: state.liveBytes,
      externalBytes: usage.external,
      loopP99Ms: state.loopP99Ms,
    },
  }
}

function note({ kinds: found }: LoadResult, kinds: readonly Sort[], { unexpected, answered }: Tallies): void {
  for (const [kind, { requests }] of Object.entries(found)) answered.set(kind, (answered.get(kind) ?? 0) + requests)
  for (const { name, expected } of kinds) {
    for (const [status, count] of Object.entries(found[name]?.byStatus ?? {})) {
      if (!expected.includes(status)) unexpected.set(`${name} ${status}`, (unexpected.get(`${name} ${status}`) ?? 0) + count)
    }
  }
}

function minutesOf(slices: readonly Slice[]) {
  return Object.values(Object.groupBy(slices, ({ minute }) => String(Math.floor(minute)))).map((some = []) => {
    const median = (of: (slice: Slice) => number) => quantile(some.map(of), 0.5)
    const mib = (of: (slice: Slice) => number) => Math.round(median(of) / mebibyte)
    return {
      ...{ capacity: median(({ capacity }) => capacity), cpuMicros: median(({ cpuMicros }) => cpuMicros) },
      ...{ p50Ms: median(({ p50Ms }) => p50Ms), p99Ms: median(({ p99Ms }) => p99Ms), loopP99Ms: median(({ loopP99Ms }) => loopP99Ms) },
      ...{
        rssMiB: mib(({ rssBytes }) => rssBytes),
        heapMiB: mib(({ heapBytes }) => heapBytes),
        liveMiB: Math.round((median(({ liveBytes }) => liveBytes) / mebibyte) * 100) / 100,
        externalMiB: mib(({ externalBytes }) => externalBytes),
      },
      ...{ tensorMiB: mib(({ state }) => state.tensorBytes), spoolMiB: mib(({ state }) => state.spoolBytes) },
    }
  })
}

async function soak(generator: Child, node: Side, kinds: readonly Sort[]) {
  const tallies: Tallies = { unexpected: new Map(), answered: new Map() }
  for (let slice = 0; slice < warmSlices; slice++) await fill(generator, node, kinds, tallies)
  say(`sending ${share * 100} % of what the node takes for ${flags.minutes} minutes`)
  const before = await restOf(node)
  const slices: Slice[] = []
  const startedAt = performance.now()
  while (performance.now() - startedAt < flags.minutes * 60_000) {
    const slice = await sliceOf(generator, node, kinds, startedAt, tallies)
    slices.push(slice)
    const { minute, capacity, cpuMicros, p50Ms, p99Ms, rssBytes, loopP99Ms, kept } = slice
    const memory = `rss ${(rssBytes / mebibyte).toFixed(0)} MiB, tensors ${(slice.state.tensorBytes / mebibyte).toFixed(1)} MiB`
    say(
      `${minute.toFixed(1)} min: takes ${capacity.toFixed(0)}/s at ${cpuMicros.toFixed(0)} µs, p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${memory}, loop ${loopP99Ms.toFixed(0)} ms, kept ${kept.toFixed(2)}`,
    )
  }
  const checks = verdictOf(slices, { before, after: await restOf(node) }, tallies.unexpected)
  const requests = Object.fromEntries(tallies.answered)
  return { requests, slices: slices.length, minutes: minutesOf(slices), checks, ok: checks.every(({ ok }) => ok) }
}

const generator = await openGenerator()
const upstream = await openUpstream()
const node = await openLocalNode(upstream.port)
try {
  const report = await soak(generator, node, kindsOf(node.headers, node.languages))
  console.log(JSON.stringify(report, null, flags.json ? undefined : 2))
  if (!report.ok) process.exitCode = 1
} finally {
  await Promise.all([generator.close(), node.child.close(), upstream.child.close()])
}
