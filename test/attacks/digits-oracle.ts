import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import type { Oracle } from './oracle.ts'

const width = 28 * 28
const maxBatch = 256

/** The digits classifier without any defence; queries of the same turn of the event loop are answered as one batch. */
export async function openDigitsOracle(): Promise<Oracle & { close(): Promise<void> }> {
  const runtime = await openRuntime({
    modelsDir: fileURLToPath(new URL('../../inference/models/', import.meta.url)),
    pools: [{ name: 'lab', models: ['digits'] }],
    configurationOf: () => ({ batching: { maxItems: maxBatch, maxWaitMicros: 0 } }),
    maxQueueItems: 65_536,
    registry: new Registry(),
    log: pino({ level: 'silent' }),
  })
  const waiting: { image: Float32Array; done: (probabilities: Float32Array) => void; failed: (error: unknown) => void }[] = []
  const flush = async () => {
    const batch = waiting.splice(0, maxBatch)
    if (waiting.length > 0) setImmediate(flush)
    const input = new Float32Array(batch.length * width)
    batch.forEach(({ image }, i) => {
      input.set(image, i * width)
    })
    try {
      const output = await classify(runtime, { model: 'digits', version: '1', pool: 'lab' }, input, batch.length)
      batch.forEach(({ done }, i) => {
        done(output.slice(i * 10, (i + 1) * 10))
      })
    } catch (error) {
      for (const { failed } of batch) failed(error)
    }
  }
  return {
    query: async (image) => {
      const probabilities = await new Promise<Float32Array>((done, failed) => {
        if (waiting.push({ image, done, failed }) === 1) setImmediate(flush)
      })
      return { refused: false, label: probabilities.indexOf(Math.max(...probabilities)), probabilities }
    },
    close: () => runtime.close(),
  }
}
