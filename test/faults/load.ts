import { setTimeout as sleep } from 'node:timers/promises'
import { exfiltration, ordinaryFlows, type TimedFlow } from '../../cli/demo/workloads.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { uuidv7 } from '../../schemas/index.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import type { Answer } from '../attacks/oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { plainFlow } from '../benign/plain-flow.ts'
import type { RoleProcess } from './role-process.ts'

/** What senders were promised. */
export interface Ledger {
  /** Ids of flows that a collector acknowledged. */
  readonly flows: Set<string>
  /** By node, ids of the requests whose answers came in full. */
  readonly answers: Map<string, Set<string>>
  /** Events sent again after a collector failed: the same ids. */
  resent: number
  failures: number
}

export interface LoadOptions {
  readonly roles: ReadonlyMap<string, RoleProcess>
  readonly token: string
  /** Keys of ordinary clients; one lane each. */
  readonly keys: readonly string[]
  readonly flowsPerSecond: number
  readonly requestsPerSecond: number
  readonly seed: number
  readonly ledger: Ledger
}

export interface Load {
  /** Begins a boundary attack with a fresh key. */
  attack(key: string, seed: number): void
  /** Somebody uploads from a workload with habits to a host it never spoke to. */
  exfiltrate(n: number): void
  stop(): Promise<void>
}

export function emptyLedger(): Ledger {
  return { flows: new Set(), answers: new Map(), resent: 0, failures: 0 }
}

const habitual = Array.from({ length: 40 }, (_, i) => `habitual-${i}`)
const batch = 50
/** Shorter than what the host takes for a quiet night, after which it lets time pass on an idle partition. */
const historyMs = 45 * 60_000

/** The past of the workloads that will be attacked, in order of time: without habits nothing is unusual. */
export function history(seed: number, until: number): TimedFlow[] {
  const random = seeded(seed)
  return habitual
    .flatMap((workload) => ordinaryFlows(workload, 'elsewhere', until - historyMs, until, random))
    .sort((a, b) => a.time - b.time)
}

export function startLoad(options: LoadOptions): Load {
  const { roles, token, keys, seed, ledger } = options
  const images = loadMnist('test').images
  const abort = new AbortController()
  const { signal } = abort
  const send = (flows: readonly TimedFlow[]) => post(roles, token, withIds(flows), ledger, signal)
  const lanes: Promise<void>[] = keys.map((key, i) =>
    reader({ roles, key, images, random: seeded(seed * 1_000 + i), signal, ledger, perSecond: options.requestsPerSecond / keys.length }),
  )
  lanes.push(steadyFlows(options.flowsPerSecond, seeded(seed * 1_000 + 999), signal, send))
  return {
    attack: (key, attackSeed) => lanes.push(attacker({ roles, key, images, random: seeded(attackSeed), signal, ledger })),
    exfiltrate: (n) => lanes.push(send([exfiltration(habitual[n % habitual.length] ?? '', 'elsewhere', Date.now(), 24_000_000)])),
    stop: async () => {
      abort.abort()
      await Promise.all(lanes)
    },
  }
}

export async function sendHistory(roles: LoadOptions['roles'], token: string, flows: readonly TimedFlow[], ledger: Ledger): Promise<void> {
  for (let from = 0; from < flows.length; from += 1_000) {
    await post(roles, token, withIds(flows.slice(from, from + 1_000)), ledger, new AbortController().signal)
  }
}

type SentFlow = TimedFlow & { readonly id: string }

function withIds(flows: readonly TimedFlow[]): SentFlow[] {
  return flows.map((flow) => ({ ...flow, id: uuidv7(flow.time, crypto.getRandomValues(new Uint8Array(10))) }))
}

/** Sends until a collector has acknowledged all of it; until then nothing was promised, and what came through comes twice. */
async function post(
  roles: LoadOptions['roles'],
  token: string,
  flows: readonly SentFlow[],
  ledger: Ledger,
  signal: AbortSignal,
): Promise<void> {
  const body = JSON.stringify(flows)
  for (let attempt = 0; ; attempt++) {
    // What was begun is carried through for a while, or the last batch would be sent and neither counted nor dropped.
    if (signal.aborted && attempt > 50) return
    const urls = [...roles.values()].flatMap(({ role, url }) => (role === 'ingest' && url !== null ? [url] : []))
    const url = urls[attempt % Math.max(1, urls.length)]
    try {
      if (url === undefined) throw new Error('no collector')
      const response = await fetch(`${url}/v1/flows`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
        body,
        signal: AbortSignal.timeout(5_000),
      })
      const { accepted } = (await response.json()) as { accepted?: number }
      if (accepted !== flows.length) throw new Error(`accepted ${accepted}`)
      for (const { id } of flows) ledger.flows.add(id)
      return
    } catch {
      ledger.failures++
      ledger.resent += flows.length
      await sleep(100)
    }
  }
}

async function steadyFlows(
  perSecond: number,
  random: Random,
  signal: AbortSignal,
  send: (flows: TimedFlow[]) => Promise<void>,
): Promise<void> {
  const waiting = new Set<Promise<void>>()
  await paced(perSecond / batch, signal, async () => {
    const sent = send(Array.from({ length: batch }, () => plainFlow(random, 200, Date.now()))).finally(() => waiting.delete(sent))
    waiting.add(sent)
    // While no collector answers, what waits is bounded, as in a sensor.
    if (waiting.size > 40) await Promise.race(waiting)
  })
  await Promise.all(waiting)
}

interface Lane {
  readonly roles: LoadOptions['roles']
  readonly key: string
  readonly images: Float32Array
  readonly random: Random
  readonly signal: AbortSignal
  readonly ledger: Ledger
}

async function reader({ perSecond, ...lane }: Lane & { readonly perSecond: number }): Promise<void> {
  await paced(perSecond, lane.signal, async () => {
    await ask(lane, pick(lane))
  })
}

/** One query to whichever node answers, entered into the ledger when it was answered; null when none did. */
async function ask({ roles, key, random, ledger }: Lane, image: Float32Array): Promise<Answer | null> {
  const nodes = [...roles.values()].filter(({ role, url }) => role === 'node' && url !== null)
  if (nodes.length === 0) {
    await sleep(50)
    return null
  }
  const { name, url } = random.pick(nodes)
  try {
    const onId = (id: string) => {
      const known = ledger.answers.get(name)
      if (known === undefined) ledger.answers.set(name, new Set([id]))
      else known.add(id)
    }
    return await httpOracle({ url: url ?? '', model: 'digits', key: () => key, onId }).query(image)
  } catch {
    ledger.failures++
    return null
  }
}

/** Bisects and walks between two digits, going on wherever the death of a node left it. */
async function attacker(lane: Lane): Promise<void> {
  const query = async (image: Float32Array): Promise<Answer> => {
    for (;;) {
      if (lane.signal.aborted) return { refused: true, status: 503, retryAfterMs: null }
      const answer = await ask(lane, image)
      if (answer !== null) return answer
      await sleep(50)
    }
  }
  const source = pick(lane)
  const first = await query(source)
  if (!first.refused)
    await boundaryAttack({ query }, { source, label: first.label }, { random: lane.random, budget: 60, start: pick(lane) })
}

function pick({ images, random }: Lane): Float32Array {
  const at = random.below(images.length / 784) * 784
  return images.subarray(at, at + 784)
}

/** Does something so often a second, without catching up on what it missed while it waited. */
async function paced(perSecond: number, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  const every = 1_000 / perSecond
  for (let next = performance.now(); !signal.aborted; ) {
    await work()
    next = Math.max(next + every, performance.now() - 1_000)
    const left = next - performance.now()
    if (left > 0) await sleep(left)
  }
}
