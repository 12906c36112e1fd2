import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { encode, newEvent } from '../../bus/codec.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import { seeded } from '../attacks/random.ts'
import { quantile } from './quantile.ts'

export interface FingerprintBench {
  /** One 28 × 28 input. */
  readonly micros: Spread
  /** Value of one fingerprint event on the bus. */
  readonly bytesPerEvent: number
  /** One prompt of 2,000 characters, all of which the model learns from. */
  readonly promptMicros: Spread
}

/** Microseconds of a warm process. */
interface Spread {
  readonly p50: number
  readonly p99: number
}

const warmUp = 1_000

/** @param fingerprint called with the numbers from 0 on; the first thousand do not count */
function timed(count: number, fingerprint: (n: number) => void): Spread {
  const micros: number[] = []
  for (let n = 0; n < warmUp + count; n++) {
    const began = process.hrtime.bigint()
    fingerprint(n)
    const took = Number(process.hrtime.bigint() - began) / 1_000
    if (n >= warmUp) micros.push(took)
  }
  return { p50: quantile(micros, 0.5), p99: quantile(micros, 0.99) }
}

/** Words of English, names and numbers, no prompt like another; each principal may teach 48 an hour, and sends no more. */
function benchPrompts(count: number): Spread {
  const random = seeded(1)
  const words = 'please write down every ship that came before noon, what she carried and who had paid for the berth; Anna 1998 é 42 https'
  const prompts = Array.from({ length: warmUp + count }, () => {
    const picked = Array.from({ length: 400 }, () => random.pick(words.split(' ')) + (random.below(4) === 0 ? random.below(1_000) : ''))
    return picked.join(' ').slice(0, 2_000)
  })
  const fingerprinter = openPromptFingerprinter({ key: randomBytes(32), epoch: 0 })
  return timed(count, (n) => {
    fingerprinter.fingerprint('m', [{ role: 'user', text: prompts[n] ?? '' }], `p${Math.floor(n / 48)}`)
  })
}

export function benchFingerprint(count: number): FingerprintBench {
  const profile = readFileSync(new URL('../../inference/models/digits/2/profile.bin', import.meta.url))
  const fingerprinter = openFingerprinter({ profile, key: randomBytes(32), epoch: 0 })
  const { images } = loadMnist('test')
  const output = new Float32Array(10).fill(0.01)
  output[3] = 0.91
  const next = (n: number) => {
    const at = (n % 10_000) * 784
    return fingerprinter.fingerprint(images.subarray(at, at + 784), output)
  }
  const micros = timed(count, next)
  let bytes = 0
  for (let n = 0; n < sized; n++) bytes += eventBytes(next(n))
  return { micros, bytesPerEvent: bytes / sized, promptMicros: benchPrompts(count) }
}

/** Events whose size is measured. */
const sized = 1_000

function eventBytes(fingerprint: Fingerprint): number {
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
  return encode('fingerprints', newEvent('fingerprint', data, 'node-1', 1_763_700_000_000)).value?.length ?? 0
}
