import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'

export interface Observed {
  readonly fingerprint: Fingerprint
  readonly probabilities: Float32Array
}

/** The digits classifier and its fingerprinter, in memory. */
export interface Victim {
  readonly version: string
  /** One batch; at most 256 images. */
  observe(images: readonly Float32Array[]): Promise<Observed[]>
  close(): Promise<void>
}

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const width = 28 * 28

export async function openVictim(version = '1'): Promise<Victim> {
  const runtime = await openRuntime({
    modelsDir,
    pools: [{ name: 'lab', models: ['digits'] }],
    configurationOf: () => ({ batching: { maxItems: 256, maxWaitMicros: 0 } }),
    maxQueueItems: 1_024,
    registry: new Registry(),
    log: pino({ level: 'silent' }),
  })
  const profile = readFileSync(`${modelsDir}digits/${version}/profile.bin`)
  const fingerprinter = openFingerprinter({ profile, key: new Uint8Array(32).fill(11), epoch: 0 })
  return {
    version,
    async observe(images) {
      const input = new Float32Array(images.length * width)
      images.forEach((image, i) => input.set(image, i * width))
      const output = await classify(runtime, { model: 'digits', version, pool: 'lab' }, input, images.length)
      const classes = output.length / images.length
      return images.map((image, i) => {
        const probabilities = output.slice(i * classes, (i + 1) * classes)
        return { probabilities, fingerprint: fingerprinter.fingerprint(image, probabilities) }
      })
    },
    close: () => runtime.close(),
  }
}
