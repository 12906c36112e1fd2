import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { ConsolePorts } from '../../console/port.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { boundaryAttack } from '../../test/attacks/boundary.ts'
import { httpOracle } from '../../test/attacks/http-oracle.ts'
import type { Answer } from '../../test/attacks/oracle.ts'
import { type Random, seeded } from '../../test/attacks/random.ts'
import { writeAtomically } from '../instance/atomic-file.ts'
import { pause, runOrdinaryClients, type Tally } from './ordinary-clients.ts'
import { openStory, type Story } from './story.ts'
import { sweepImage } from './sweep.ts'
import { exfiltration, ordinaryFlows, type TimedFlow } from './workloads.ts'

export interface DemoOptions {
  readonly dataDir: string
  readonly inference: string
  readonly console: string
  readonly token: string
  readonly ports: ConsolePorts
  readonly write: (line: string) => void
  readonly colour: boolean
  readonly clock: () => number
  readonly signal: AbortSignal
}

const clientCount = 10
const clientPauseMs = 600
const historyMs = 45 * 60_000
const workloads = [
  { workload: 'serve-a', pool: 'gpu-a' },
  { workload: 'serve-b', pool: 'gpu-b' },
] as const

/** Kept beside the log, so that a second start goes on with the same clients. */
const Kept = z.object({ keys: z.record(z.string(), z.string()), runs: z.int(), historyUntil: z.int() })
type Kept = z.infer<typeof Kept>

/**
 * Plays ordinary clients on real handwritten digits, then three attackers, against the running instance and only through
 * its public interfaces, and tells the story. Resolves when `signal` aborts.
 */
export async function runDemo(options: DemoOptions): Promise<void> {
  const { ports, signal } = options
  const story = openStory(options.write, options.clock, options.colour)
  const kept = open(options.dataDir)
  const random = seeded(kept.runs)
  const images = loadMnist('test')
  const image = (from: Random) => {
    const at = from.below(images.count) * 784
    return images.images.subarray(at, at + 784)
  }
  const stops = [ports.findings.onChange(story.finding), ports.containments.onChange(story.containment)]
  const left = ports.containments.list().filter((c) => c.state === 'active' && c.until > options.clock())
  for (const containment of left) story.still(containment)
  const clients = []
  for (let i = 0; i < clientCount; i++) {
    const key = await keyOf(options, kept, `client-${String(i + 1).padStart(2, '0')}`)
    clients.push({ oracle: httpOracle({ url: options.inference, model: 'digits', key: () => key }), random: seeded(1_000 + i + kept.runs) })
  }
  const tally: Tally = { answered: 0, refused: 0 }
  const running = [
    runOrdinaryClients(clients, image, clientPauseMs, tally, signal),
    runWorkloads(options, kept, random),
    report(story, tally, signal),
  ]
  story.say('ordinary', `${clientCount} clients send handwritten digits; two workloads talk to their usual hosts`)
  const name = (what: string) => `${what}-${kept.runs}`
  running.push(
    after(6_000, signal, async () => probe(options, kept, story, name('mallory'), image, random)),
    after(13_000, signal, async () => sweep(options, kept, story, name('trudy'), random)),
    after(20_000, signal, async () => exfiltrate(options, story)),
  )
  await Promise.all(
    running.map((run) => run.catch((error: Error) => (signal.aborted ? undefined : story.say('demo', `failed: ${error.message}`)))),
  )
  for (const stop of stops) stop()
}

async function after(ms: number, signal: AbortSignal, run: () => Promise<void>): Promise<void> {
  await pause(ms, signal)
  if (!signal.aborted) await run()
}

async function probe(
  options: DemoOptions,
  kept: Kept,
  story: Story,
  who: string,
  image: (random: Random) => Float32Array,
  random: Random,
): Promise<void> {
  const key = await keyOf(options, kept, who)
  const progress = watcher(story, who)
  const oracle = httpOracle({ url: options.inference, model: 'digits', key: () => key, onAnswer: progress })
  story.say('attack 1', `${who} probes with near-duplicates of one digit (boundary attack)`)
  const source = image(random)
  const first = await oracle.query(source)
  const start = image(random)
  if (!first.refused) await boundaryAttack(oracle, { source, label: first.label }, { random, budget: 400, start })
}

async function sweep(options: DemoOptions, kept: Kept, story: Story, who: string, random: Random): Promise<void> {
  const key = await keyOf(options, kept, who)
  const progress = watcher(story, who)
  const oracle = httpOracle({ url: options.inference, model: 'digits', key: () => key, onAnswer: progress })
  story.say('attack 2', `${who} sweeps the input space to copy the model`)
  for (let i = 0; i < 400 && !options.signal.aborted; i++) if ((await oracle.query(sweepImage(random))).refused) return
}

/** Says when the attacker meets the first refusal, and after how many answers. */
function watcher(story: Story, who: string): (answer: Answer) => void {
  let answered = 0
  let refused = false
  return (answer) => {
    if (!answer.refused) answered++
    else if (!refused) {
      refused = true
      const after = answer.retryAfterMs === null ? '' : `, retry after ${Math.round(answer.retryAfterMs / 1_000)} s`
      story.say('REFUSED', `${who} got ${answer.status}${after}: ${answered} queries were answered before`)
    }
  }
}

async function exfiltrate(options: DemoOptions, story: Story): Promise<void> {
  const { workload, pool } = workloads[1]
  if (isContained(options, pool)) return story.say('attack 3', `left out: pool ${pool} is still quarantined from before`)
  story.say('attack 3', `somebody on ${workload} (pool ${pool}) uploads to a host it never spoke to`)
  for (let i = 0; i < 12 && !options.signal.aborted; i++) {
    await send(options, [exfiltration(workload, pool, options.clock(), 24_000_000)])
    if (isContained(options, pool)) return story.say('contained', `pool ${pool} is drained after ${i + 1} uploads; gpu-a serves on`)
    await pause(500, options.signal)
  }
}

function isContained(options: DemoOptions, pool: string): boolean {
  return options.ports.containments.list().some((c) => c.target === `pool:${pool}` && c.state === 'active' && c.until > options.clock())
}

/** The workloads' ordinary traffic: three quarters of an hour of history once, then as it happens. */
async function runWorkloads(options: DemoOptions, kept: Kept, random: Random): Promise<void> {
  let from = Math.max(kept.historyUntil, options.clock() - historyMs)
  while (!options.signal.aborted) {
    const until = options.clock()
    const flows = workloads.flatMap(({ workload, pool }) => ordinaryFlows(workload, pool, from, until, random))
    if (flows.length > 0)
      await send(
        options,
        flows.toSorted((a, b) => a.time - b.time),
      )
    from = until
    kept.historyUntil = until
    save(options.dataDir, kept)
    await pause(1_000, options.signal)
  }
}

async function send(options: DemoOptions, flows: readonly TimedFlow[]): Promise<void> {
  const response = await fetch(`${options.console}/v1/flows`, {
    method: 'POST',
    headers: { authorization: `Bearer ${options.token}`, 'content-type': 'application/x-ndjson' },
    body: flows.map((flow) => JSON.stringify(flow)).join('\n'),
  })
  if (response.status !== 202) throw new Error(`the collector answered ${response.status}: ${(await response.text()).slice(0, 200)}`)
}

async function report(story: Story, tally: Tally, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    await pause(10_000, signal)
    if (!signal.aborted) story.say('ordinary', `${tally.answered} answers to ordinary clients, ${tally.refused} refusals`)
  }
}

async function keyOf(options: DemoOptions, kept: Kept, principal: string): Promise<string> {
  const known = kept.keys[principal]
  if (known !== undefined) return known
  const { key } = await options.ports.keys.create({ principal, organization: 'demo', expiresAt: null }, 'demo')
  kept.keys[principal] = key
  save(options.dataDir, kept)
  return key
}

function open(dataDir: string): Kept {
  const file = join(dataDir, 'demo.json')
  const kept = existsSync(file) ? Kept.parse(JSON.parse(readFileSync(file, 'utf8'))) : { keys: {}, runs: 0, historyUntil: 0 }
  const next = { ...kept, runs: kept.runs + 1 }
  save(dataDir, next)
  return next
}

function save(dataDir: string, kept: Kept): void {
  writeAtomically(join(dataDir, 'demo.json'), JSON.stringify(kept))
}
