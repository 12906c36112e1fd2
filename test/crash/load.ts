import { randomBytes } from 'node:crypto'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { uuidv7 } from '../../schemas/index.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import type { Answer } from '../attacks/oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { plainFlow } from '../benign/plain-flow.ts'
import type { Instance } from '../end-to-end/instance.ts'

/** What clients were promised while the process came and went. */
export interface Ledger {
  /** Ids of flow events that the collector acknowledged with 202. */
  readonly flows: Set<string>
  /** Ids of the requests whose answers were received in full. */
  readonly answers: Set<string>
  /** Calls that failed for want of a server. */
  failures: number
}

export interface Load {
  readonly ledger: Ledger
  /** The instance that calls go to; null while there is none. */
  target: Instance | null
  /** Begins a boundary attack from a fresh key. */
  attack(key: string, seed: number): void
  stop(): Promise<void>
}

/** Steady load: a reader of digits for each key, flows posted to the collector, and whatever attacks are begun. */
export function startLoad(keys: readonly string[], seed: number): Load {
  const images = loadMnist('test')
  const ledger: Ledger = { flows: new Set(), answers: new Set(), failures: 0 }
  const abort = new AbortController()
  const load: Load = {
    ledger,
    target: null,
    attack: (key, attackSeed) => lanes.push(attacker(load, key, images.images, seeded(attackSeed), abort.signal)),
    stop: async () => {
      abort.abort()
      await Promise.all(lanes)
    },
  }
  const lanes = [...keys].map((key, i) => reader(load, key, images.images, seeded(seed * 1_000 + i), abort.signal))
  lanes.push(flows(load, seeded(seed * 1_000 + 999), abort.signal))
  return load
}

async function reader(load: Load, key: string, images: Float32Array, random: Random, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const instance = load.target
    if (instance === null) {
      await turn(20)
      continue
    }
    const at = random.below(images.length / 784) * 784
    if ((await ask(load, instance, key, images.subarray(at, at + 784))) === null) await turn(20)
  }
}

/** One query, entered into the ledger when it was answered; null when there was no server to answer it. */
async function ask(load: Load, instance: Instance, key: string, image: Float32Array): Promise<Answer | null> {
  try {
    const onId = (id: string) => load.ledger.answers.add(id)
    return await httpOracle({ url: instance.inference, model: 'digits', key: () => key, onId }).query(image)
  } catch {
    load.ledger.failures++
    return null
  }
}

/** Bisects and walks between two digits until it is refused, going on wherever a death of the process left it. */
async function attacker(load: Load, key: string, images: Float32Array, random: Random, signal: AbortSignal): Promise<void> {
  const pick = () => {
    const at = random.below(images.length / 784) * 784
    return images.subarray(at, at + 784)
  }
  const query = async (image: Float32Array): Promise<Answer> => {
    for (;;) {
      if (signal.aborted) return { refused: true, status: 503, retryAfterMs: null }
      const answer = load.target === null ? null : await ask(load, load.target, key, image)
      if (answer !== null) return answer
      await turn(20)
    }
  }
  const source = pick()
  const first = await query(source)
  if (!first.refused) await boundaryAttack({ query }, { source, label: first.label }, { random, budget: 60, start: pick() })
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
  return { id: uuidv7(time, randomBytes(10)), ...plainFlow(random, 3, time) }
}

function turn(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
