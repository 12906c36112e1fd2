import { pixels } from '../../inference/datasets/mnist.ts'
import { accuracy, fit } from '../../inference/training/fit.ts'
import { registerGradients } from '../../inference/training/gradients.ts'
import { buildNetwork } from '../../inference/training/network.ts'
import { seeded } from '../attacks/random.ts'
import { readyBackend } from './leakage-recording.ts'
import { openMark, stacked } from './leakage-victims.ts'
import { labOptions } from './options.ts'

const about =
  'Holds the students of test/lab/leakage.ts against a convolutional network that is trained on the same labels of ordinary digits, with shifts.'

const options = labOptions(about, { seed: { type: 'string', default: '1' }, json: { type: 'boolean', default: false } })
const seed = Number(options.seed)

await readyBackend()
registerGradients()
const mark = await openMark('digits', false)
const images = mark.images(seeded(seed))
const labelled = async (list: readonly Float32Array[]) => ({
  images: stacked(list),
  labels: Uint8Array.from(await mark.ask(list), ({ fingerprint }) => fingerprint.output.label),
  count: list.length,
})
const judged = await labelled(mark.judged)
const asked = await labelled(Array.from({ length: 1_600 }, images))
for (const [count, epochs] of [
  [50, 80],
  [100, 60],
  [400, 30],
  [1_600, 12],
] as const) {
  const network = buildNetwork({ name: 'student', filters: [12, 24], hidden: 48, seed })
  const own = { images: asked.images.subarray(0, count * pixels), labels: asked.labels.subarray(0, count), count }
  fit(network, own, { epochs, batch: 50, rate: 0.003, shift: 1, seed }, () => {})
  const row = { answers: count, fidelity: accuracy(network, judged) }
  console.log(options.json ? JSON.stringify(row) : `answers ${row.answers} · fidelity ${row.fidelity}`)
  network.logits.dispose()
}
await mark.close()
