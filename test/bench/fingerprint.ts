import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encode, newEvent } from '../../bus/codec.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import { seeded } from '../attacks/random.ts'
import { quantile } from './quantile.ts'

export interface FingerprintBench {
  /** One 28 × 28 input. */
  readonly micros: { readonly p50: number; readonly p99: number }
  /** Value of one fingerprint event on the bus. */
  readonly bytesPerEvent: number
  /** CPU of the process for one prompt of 2,000 characters, microseconds; the model learns from all of them. */
  readonly promptCpuMicros: number
}

/** Words of English, names and numbers, no prompt like another; each principal may teach 48 an hour, and sends no more. */
function benchPrompts(count: number): number {
  const random = seeded(1)
  const words = 'please write down every ship that came before noon, what she carried and who had paid for the berth; Anna 1998 é 42 https'
  const prompts = Array.from({ length: count }, () => {
    const picked = Array.from({ length: 400 }, () => random.pick(words.split(' ')) + (random.below(4) === 0 ? random.below(1_000) : ''))
    return picked.join(' ').slice(0, 2_000)
  })
  const fingerprinter = openPromptFingerprinter({ key: randomBytes(32), epoch: 0 })
  let from = process.cpuUsage()
  for (const [n, text] of prompts.entries()) {
    if (n === count >> 2) from = process.cpuUsage()
    fingerprinter.fingerprint('m', [{ role: 'user', text }], `p${Math.floor(n / 48)}`)
  }
  const { user, system } = process.cpuUsage(from)
  return (user + system) / (count - (count >> 2))
}

export function benchFingerprint(count: number): FingerprintBench {
  const profile = readFileSync(new URL('../../inference/models/digits/2/profile.bin', import.meta.url))
  const fingerprinter = openFingerprinter({ profile, key: randomBytes(32), epoch: 0 })
  const { images } = loadMnist('test')
  const output = new Float32Array(10).fill(0.01)
  output[3] = 0.91
  const micros: number[] = []
  let bytes = 0
  for (let i = -1_000; i < count; i++) {
    const at = (Math.abs(i) % 10_000) * 784
    const began = process.hrtime.bigint()
    const fingerprint = fingerprinter.fingerprint(images.subarray(at, at + 784), output)
    const took = Number(process.hrtime.bigint() - began) / 1_000
    if (i < 0) continue
    micros.push(took)
    const whose = {
      request: '0196f000-0000-7000-8000-000000000000',
      index: 0,
      principal: 'client-01',
      organization: 'acme',
      keyId: 'abcdefghijkl',
      keyCreatedAt: 1_763_600_000_000,
      client: 'f3a91c2b7d405e86',
      agent: '0b1d2f3a4c5e6f70',
      hardening: 'none',
      answered: true,
    } as const
    const data = { ...whose, model: 'digits', version: '2', node: 'node-1', ...fingerprint }
    bytes += encode('fingerprints', newEvent('fingerprint', data, 'node-1', 1_763_700_000_000)).value?.length ?? 0
  }
  return {
    micros: { p50: quantile(micros, 0.5), p99: quantile(micros, 0.99) },
    bytesPerEvent: bytes / count,
    promptCpuMicros: benchPrompts(count),
  }
}
