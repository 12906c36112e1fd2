import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ContainmentView } from '../../console/port.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import { seeded } from '../attacks/random.ts'
import { startInstance } from '../end-to-end/instance.ts'
import { quantile } from './quantile.ts'

export interface EnforcementBench {
  readonly attacks: number
  /** From the deciding request's arrival to the node's acknowledgement that it enforces. */
  readonly enforcedAfterMs: { readonly p50: number; readonly p99: number; readonly max: number }
  /** Queries that the attacker had answered before its first refusal. */
  readonly answeredBefore: { readonly p50: number; readonly max: number }
}

/** Boundary attacks, one after the other, on the started binary, with ordinary clients beside them. */
export async function benchEnforcement(attacks: number): Promise<EnforcementBench> {
  const dataDir = mkdtempSync(join(tmpdir(), 'cordon-bench-'))
  const instance = await startInstance({ dataDir })
  const abort = new AbortController()
  const images = loadMnist('test')
  const image = (i: number) => images.images.subarray(i * 784, (i + 1) * 784)
  try {
    const { key: ordinary } = await instance.createKey('ordinary')
    const background = ordinaryTraffic(httpOracle({ url: instance.inference, model: 'digits', key: () => ordinary }), image, abort.signal)
    const answered: number[] = []
    for (let seed = 1; seed <= attacks; seed++) {
      const random = seeded(50_000 + seed)
      const { key } = await instance.createKey(`attacker-${seed}`)
      let count = 0
      const oracle = httpOracle({
        url: instance.inference,
        model: 'digits',
        key: () => key,
        onAnswer: (answer) => {
          if (!answer.refused) count++
        },
      })
      const at = random.below(images.count)
      const first = await oracle.query(image(at))
      let other = random.below(images.count)
      while (images.labels[other] === images.labels[at]) other = random.below(images.count)
      if (!first.refused)
        await boundaryAttack(oracle, { source: image(at), label: first.label }, { random, budget: 100, start: image(other) })
      answered.push(count)
    }
    abort.abort()
    await background
    const { containments } = await instance.api<{ containments: ContainmentView[] }>('/api/containments')
    const times = containments.flatMap((c) => (c.action === 'throttle-principal' && c.enforcedAfterMs !== null ? [c.enforcedAfterMs] : []))
    return {
      attacks,
      enforcedAfterMs: { p50: quantile(times, 0.5), p99: quantile(times, 0.99), max: quantile(times, 1) },
      answeredBefore: { p50: quantile(answered, 0.5), max: quantile(answered, 1) },
    }
  } finally {
    abort.abort()
    await instance.stop()
    rmSync(dataDir, { recursive: true, force: true })
  }
}

async function ordinaryTraffic(
  oracle: ReturnType<typeof httpOracle>,
  image: (i: number) => Float32Array,
  signal: AbortSignal,
): Promise<void> {
  for (let i = 0; !signal.aborted; i = (i + 1) % 10_000) {
    await oracle.query(image(i))
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
