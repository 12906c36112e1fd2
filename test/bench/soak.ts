// npm run bench:soak -- [--minutes 10] [--json]
// Finds how much a node takes, then sends 80 % of that at a fixed rate, and says by stated rules whether it held out; 1 is no.
import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { quantile } from './quantile.ts'
import type { Child } from './serving/child.ts'
import type { ClosedLoad, LoadResult, OpenLoad } from './serving/generator.ts'
import type { NodeState } from './serving/node.ts'
import { openGenerator, openLocalNode, openUpstream, type Side } from './serving/sides.ts'
import type { Usage } from './serving/usage.ts'
import { kindsOf, type Sort } from './soak-kinds.ts'
import { type Rest, type Sample, verdictOf } from './soak-verdict.ts'

const { values: flags } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, json: { type: 'boolean' } } })
const sliceMs = 10_000
const warmMs = 5_000
const rampMs = 4_000
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

const say = (line: string) => {
  if (flags.json !== true) console.error(line)
}

/** Requests a second that are answered when 64 clients ask as fast as they can: the median of three tries. */
async function capacityOf(generator: Child, { port }: Side, kinds: readonly Sort[]): Promise<number> {
  const order = (ms: number): ClosedLoad => ({ port, kinds, clients: 64, ms })
  await generator.ask('ask', order(warmMs))
  const rates: number[] = []
  for (let i = 0; i < 3; i++) rates.push((await generator.ask<LoadResult>('ask', order(rampMs))).perSecond)
  return quantile(rates, 0.5)
}

async function restOf({ child }: Side): Promise<Rest> {
  await delay(restMs)
  const { tensorBytes, spoolBytes, dropped } = await child.ask<NodeState>('state')
  return { tensorBytes, spoolBytes, dropped }
}

async function sliceOf(
  generator: Child,
  { child, port }: Side,
  kinds: readonly Sort[],
  rate: number,
  startedAt: number,
  unexpected: Map<string, number>,
): Promise<Slice> {
  const order: OpenLoad = { port, kinds, rate, connections, ms: sliceMs }
  const result = await generator.ask<LoadResult>('send', order)
  noteUnexpected(result, kinds, unexpected)
  const usage = await child.ask<Usage>('usage')
  const state = await child.ask<NodeState>('state')
  const { p50Ms, p99Ms, perSecond } = result
  return {
    ...{ minute: (performance.now() - startedAt) / 60_000, p50Ms, p99Ms, kept: Math.min(1, perSecond / rate), state },
    ...{ rssBytes: usage.rss, heapBytes: usage.heapUsed, externalBytes: usage.external, loopP99Ms: state.loopP99Ms },
  }
}

function noteUnexpected({ kinds: found }: LoadResult, kinds: readonly Sort[], unexpected: Map<string, number>): void {
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
      ...{ p50Ms: median(({ p50Ms }) => p50Ms), p99Ms: median(({ p99Ms }) => p99Ms), loopP99Ms: median(({ loopP99Ms }) => loopP99Ms) },
      ...{
        rssMiB: mib(({ rssBytes }) => rssBytes),
        heapMiB: mib(({ heapBytes }) => heapBytes),
        externalMiB: mib(({ externalBytes }) => externalBytes),
      },
      ...{ tensorMiB: mib(({ state }) => state.tensorBytes), spoolMiB: mib(({ state }) => state.spoolBytes) },
    }
  })
}

async function soak(generator: Child, node: Side, kinds: readonly Sort[]) {
  const capacity = await capacityOf(generator, node, kinds)
  const rate = capacity * share
  say(`capacity ${capacity.toFixed(0)} requests/s; sending ${rate.toFixed(0)} for ${flags.minutes} minutes`)
  const before = await restOf(node)
  const unexpected = new Map<string, number>()
  const slices: Slice[] = []
  const startedAt = performance.now()
  while (performance.now() - startedAt < Number(flags.minutes) * 60_000) {
    const slice = await sliceOf(generator, node, kinds, rate, startedAt, unexpected)
    slices.push(slice)
    const { minute, p50Ms, p99Ms, rssBytes, loopP99Ms, kept } = slice
    const memory = `rss ${(rssBytes / mebibyte).toFixed(0)} MiB, tensors ${(slice.state.tensorBytes / mebibyte).toFixed(1)} MiB`
    say(
      `${minute.toFixed(1)} min: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${memory}, loop ${loopP99Ms.toFixed(0)} ms, kept ${kept.toFixed(2)}`,
    )
  }
  const checks = verdictOf(slices, { before, after: await restOf(node) }, unexpected)
  return { capacity, rate, slices: slices.length, minutes: minutesOf(slices), checks, ok: checks.every(({ ok }) => ok) }
}

const generator = await openGenerator()
const upstream = await openUpstream()
const node = await openLocalNode(upstream.port)
try {
  const report = await soak(generator, node, kindsOf(node.headers, node.languages))
  console.log(JSON.stringify(report, null, flags.json === true ? undefined : 2))
  if (!report.ok) process.exitCode = 1
} finally {
  await Promise.all([generator.close(), node.child.close(), upstream.child.close()])
}
