import { randomBytes } from 'node:crypto'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { uuidv7 } from '../../schemas/index.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import type { Instance } from '../end-to-end/instance.ts'

/** What clients were promised while the process came and went. */
export interface Ledger {
  /** Ids of flow events that the collector acknowledged with 202. */
  readonly flows: Set<string>
  /** Answers that each principal received in full. */
  readonly answers: Map<string, number>
  /** Calls that failed for want of a server. */
  failures: number
}

export interface Load {
  readonly ledger: Ledger
  /** The instance that calls go to; null while there is none. */
  target: Instance | null
  stop(): Promise<void>
}

/** Steady load of three kinds: readers of digits, near-duplicate probes, and flows posted to the collector. */
export function startLoad(keys: ReadonlyMap<string, string>, seed: number): Load {
  const images = loadMnist('test')
  const ledger: Ledger = { flows: new Set(), answers: new Map(), failures: 0 }
  const abort = new AbortController()
  const load: Load = {
    ledger,
    target: null,
    stop: async () => {
      abort.abort()
      await Promise.all(lanes)
    },
  }
  const lanes = [...keys].map(([principal, key], i) => reader(load, principal, key, images.images, seeded(seed * 1_000 + i), abort.signal))
  lanes.push(flows(load, seeded(seed * 1_000 + 999), abort.signal))
  return load
}

async function reader(
  load: Load,
  principal: string,
  key: string,
  images: Float32Array,
  random: Random,
  signal: AbortSignal,
): Promise<void> {
  const probing = principal.startsWith('prober')
  const anchor = images.slice(0, 784)
  while (!signal.aborted) {
    const instance = load.target
    if (instance === null) {
      await turn(20)
      continue
    }
    const at = random.below(images.length / 784) * 784
    const image = probing ? anchor.map((v) => Math.min(1, Math.max(0, v + random.normal() * 0.02))) : images.subarray(at, at + 784)
    try {
      const answer = await httpOracle({ url: instance.inference, model: 'digits', key: () => key }).query(image)
      if (!answer.refused) load.ledger.answers.set(principal, (load.ledger.answers.get(principal) ?? 0) + 1)
      else await turn(50)
    } catch {
      load.ledger.failures++
      await turn(20)
    }
  }
}

async function flows(load: Load, random: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const instance = load.target
    const batch = Array.from({ length: 20 }, () => flow(random))
    try {
      const answer = await instance?.api<{ accepted: number }>('/v1/flows', batch)
      if (answer?.accepted === batch.length) for (const { id } of batch) load.ledger.flows.add(id)
    } catch {
      load.ledger.failures++
    }
    await turn(20)
  }
}

function flow(random: Random) {
  const time = Date.now()
  return {
    id: uuidv7(time, randomBytes(10)),
    time,
    workload: `serve-${random.below(3)}`,
    pool: null,
    connection: null,
    destination: { address: `10.0.0.${random.below(4)}`, port: 443, name: null },
    protocol: 'tcp',
    service: null,
    bytesOut: 10_000 + random.below(1_000),
    bytesIn: 500,
    durationMs: 10,
  }
}

function turn(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
