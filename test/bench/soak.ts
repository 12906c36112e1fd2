import { setTimeout as delay } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { count, fromCommandLine } from '../command-line.ts'
import { quantile } from './quantile.ts'
import type { Child } from './serving/child.ts'
import type { ClosedLoad, LoadResult, OpenLoad } from './serving/generator.ts'
import type { NodeState } from './serving/node.ts'
import { openGenerator, openLocalNode, openUpstream, type Side } from './serving/sides.ts'
import type { Usage } from './serving/usage.ts'
import { kindsOf, type Sort } from './soak-kinds.ts'
import { type Rest, type Sample, verdictOf } from './soak-verdict.ts'

const usage = `npm run bench:soak -- [options]

Finds how much a node takes, then sends 80 % of that at a fixed rate, and says by stated rules whether it held out: memory, tensors,
latency, spool and statuses. Status 1 where it did not. Nothing else should run on the machine.

  --minutes N   how long (default 10)
  --json        one object on standard output, and no progress`

const flags = fromCommandLine(usage, () => {
  const { values } = parseArgs({ options: { minutes: { type: 'string', default: '10' }, json: { type: 'boolean' } } })
  return { minutes: count('minutes', values.minutes, 1), json: values.json === true }
})
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

/** Counts by kind: answers of a status that it should not have, and all. */
interface Tallies {
  readonly unexpected: Map<string, number>
  readonly answered: Map<string, number>
}

const say = (line: string) => {
  if (!flags.json) console.error(line)
}

/** Tries that differ by less than this say the same. */
const agreement = 0.1
const mostTries = 12

/**
 * Requests a second that are answered when 64 clients ask as fast as they can: the median of three tries in a row that agree. A node
 * that still compiles, or a machine that does something else for a while, gives others.
 */
async function capacityOf(generator: Child, { port }: Side, kinds: readonly Sort[]): Promise<number> {
  const order = (ms: number): ClosedLoad => ({ port, kinds, clients: 64, ms })
  await generator.ask('ask', order(warmMs))
  const rates: number[] = []
  for (let i = 0; i < mostTries && !agree(rates.slice(-3)); i++) {
    rates.push((await generator.ask<LoadResult>('ask', order(rampMs))).perSecond)
    say(`try ${i + 1}: ${rates.at(-1)?.toFixed(0)} requests/s`)
  }
  return quantile(rates.slice(-3), 0.5)
}

function agree(rates: readonly number[]): boolean {
  return rates.length === 3 && Math.max(...rates) <= Math.min(...rates) * (1 + agreement)
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
  { unexpected, answered }: Tallies,
): Promise<Slice> {
  const order: OpenLoad = { port, kinds, rate, connections, ms: sliceMs }
  const result = await generator.ask<LoadResult>('send', order)
  noteUnexpected(result, kinds, unexpected)
  for (const [kind, { requests }] of Object.entries(result.kinds)) answered.set(kind, (answered.get(kind) ?? 0) + requests)
  const usage = await child.ask<Usage>('usage')
  const state = await child.ask<NodeState>('state')
  const { p50Ms, p99Ms, perSecond } = result
  return {
    ...{ minute: (performance.now() - startedAt) / 60_000, p50Ms, p99Ms, kept: Math.min(1, perSecond / rate), state },
    ...{
      rssBytes: usage.rss,
      heapBytes: usage.heapUsed,
      liveBytes: state.liveBytes,
      externalBytes: usage.external,
      loopP99Ms: state.loopP99Ms,
    },
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
        liveMiB: Math.round((median(({ liveBytes }) => liveBytes) / mebibyte) * 100) / 100,
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
  const answered = new Map<string, number>()
  const slices: Slice[] = []
  const startedAt = performance.now()
  while (performance.now() - startedAt < flags.minutes * 60_000) {
    const slice = await sliceOf(generator, node, kinds, rate, startedAt, { unexpected, answered })
    slices.push(slice)
    const { minute, p50Ms, p99Ms, rssBytes, loopP99Ms, kept } = slice
    const memory = `rss ${(rssBytes / mebibyte).toFixed(0)} MiB, tensors ${(slice.state.tensorBytes / mebibyte).toFixed(1)} MiB`
    say(
      `${minute.toFixed(1)} min: p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${memory}, loop ${loopP99Ms.toFixed(0)} ms, kept ${kept.toFixed(2)}`,
    )
  }
  const checks = verdictOf(slices, { before, after: await restOf(node) }, unexpected)
  const requests = Object.fromEntries(answered)
  return { capacity, rate, requests, slices: slices.length, minutes: minutesOf(slices), checks, ok: checks.every(({ ok }) => ok) }
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
