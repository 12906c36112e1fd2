import { loadMnist, type Mnist, pixels } from '../../inference/datasets/mnist.ts'
import { type Bearer, openMarker } from '../../inference/watermark/marker.ts'
import { verifyWatermark } from '../../inference/watermark/verify.ts'
import { openDigitsOracle } from '../attacks/digits-oracle.ts'
import { Student } from '../attacks/extraction-student.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { labOptions } from './options.ts'

const about = `Measures how sure the owner can be of a copy made from marked answers, and of models made otherwise: p-values by answers stolen, form of
the answers, training, and what the thief does against it.`

const values = labOptions(about, {
  answers: { type: 'string', default: '500,2000,5000' },
  seeds: { type: 'string', default: '5' },
  share: { type: 'string', default: '0.004' },
  epochs: { type: 'string', default: '60' },
  innocents: { type: 'string', default: '20' },
})
const share = Number(values.share)
const epochs = Number(values.epochs)
const shape = [28, 28, 1]
const classes = 10
const cells = 14 * 14
const train = loadMnist('train')
const test = loadMnist('test')
const marker = openMarker(new Uint8Array(32).fill(5))
const thief: Bearer = { principal: 'mallory', model: 'digits' }

/** Half as wide and high: a small student learns it in seconds. */
function shrunk(images: Float32Array, index: number): Float32Array {
  const small = new Float32Array(cells)
  for (let y = 0; y < 28; y++)
    for (let x = 0; x < 28; x++) {
      const at = (y >> 1) * 14 + (x >> 1)
      small[at] = (small[at] as number) + (images[index * pixels + y * 28 + x] as number) / 4
    }
  return small
}

const imageOf = ({ images }: Mnist, index: number) => images.subarray(index * pixels, (index + 1) * pixels)
const topOf = (row: ArrayLike<number>) => Array.from(row).indexOf(Math.max(...Array.from(row)))

async function victimAnswers(count: number): Promise<Float32Array[]> {
  const oracle = await openDigitsOracle()
  const rows = await Promise.all(Array.from({ length: count }, (_, i) => oracle.query(imageOf(train, i))))
  await oracle.close()
  return rows.map((answer) => (answer.refused ? new Float32Array(classes) : answer.probabilities))
}

type Form = 'full' | 'rounded' | 'label-only'
function shown(row: Float32Array, mark: number | null, form: Form): Float32Array {
  const told = row.slice()
  const top = topOf(row)
  if (mark !== null) {
    const value = told[mark] as number
    told[mark] = told[top] as number
    told[top] = value
  }
  if (form === 'full') return told
  const shownTop = topOf(told)
  return told.map((value, i) => (form === 'label-only' ? Number(i === shownTop) : Math.round(value * 10) / 10))
}

function learned(inputs: readonly Float32Array[], targets: readonly Float32Array[], random: Random, passes: number): Student {
  const student = new Student(cells, 48, classes, random)
  const order = inputs.map((_, i) => i)
  for (let epoch = 0; epoch < passes; epoch++) {
    for (let i = order.length - 1; i > 0; i--) {
      const j = random.below(i + 1)
      ;[order[i], order[j]] = [order[j] as number, order[i] as number]
    }
    const rate = 0.05 * (1 - (0.9 * epoch) / passes)
    for (const i of order) student.train(inputs[i] as Float32Array, targets[i] as Float32Array, rate)
  }
  return student
}

const most = Math.max(...values.answers.split(',').map(Number))
const pool = Math.max(most, 10_000)
const answers = await victimAnswers(pool)
const own = answers.map(topOf)
const small = Array.from({ length: pool }, (_, i) => shrunk(train.images, i))
const smallTest = Array.from({ length: 2_000 }, (_, i) => shrunk(test.images, i))
const marks = own.map((top, i) => marker.mark(thief, imageOf(train, i), shape, top, classes, share))

function judge(student: Student, bearer: Bearer, count: number) {
  const suspect = small.slice(0, count).map((x) => topOf(student.predict(x)))
  const verdict = verifyWatermark(marker, bearer, share, { count, at: (i) => imageOf(train, i), shape, classes, own, suspect })
  let right = 0
  for (const [i, x] of smallTest.entries()) if (topOf(student.predict(x)) === test.labels[i]) right++
  return { ...verdict, accuracy: right / smallTest.length }
}

function report(name: string, count: number, verdicts: readonly ReturnType<typeof judge>[]): void {
  const ps = verdicts.map(({ p }) => p).sort((a, b) => a - b)
  const shownOf = ({ hits, marked, baseRate, accuracy }: ReturnType<typeof judge>) =>
    `${hits}/${marked} at ${(100 * baseRate).toFixed(2)}% (${(100 * accuracy).toFixed(1)}% right)`
  console.log(
    `${name.padEnd(34)} ${count} answers: p ${ps.map((p) => p.toExponential(1)).join(' ')} · ${verdicts.slice(0, 2).map(shownOf).join(', ')}`,
  )
}

console.log(`marked ${marks.filter((mark) => mark !== null).length} of ${pool}`)
for (const count of values.answers.split(',').map(Number)) {
  const seeds = Array.from({ length: Number(values.seeds) }, (_, i) => i)
  const inputs = small.slice(0, count)
  for (const form of ['full', 'rounded', 'label-only'] as const) {
    const targets = inputs.map((_, i) => shown(answers[i] as Float32Array, marks[i] ?? null, form))
    report(
      `thief, ${form}`,
      count,
      seeds.map((seed) => judge(learned(inputs, targets, seeded(seed), epochs), thief, count)),
    )
    if (form !== 'full') continue
    report(
      'thief, a quarter of the passes',
      count,
      seeds.map((seed) => judge(learned(inputs, targets, seeded(seed), epochs / 4), thief, count)),
    )
    const noisy = (random: Random) =>
      targets.map((row) => (random.next() < 0.1 ? Float32Array.from(row, (_, c) => Number(c === random.below(10))) : row))
    report(
      'thief, a tenth relabelled',
      count,
      seeds.map((seed) => judge(learned(inputs, noisy(seeded(90 + seed)), seeded(seed), epochs), thief, count)),
    )
    report(
      'thief, asked for another',
      count,
      seeds.map((seed) => judge(learned(inputs, targets, seeded(seed), epochs), { ...thief, principal: 'alice' }, count)),
    )
  }
  const clean = inputs.map((_, i) => shown(answers[i] as Float32Array, null, 'full'))
  const others = Array.from({ length: Number(values.innocents) }, (_, i) => i)
  const student = learned(inputs, clean, seeded(7), epochs)
  report(
    'innocent, judged by principals',
    count,
    others.map((i) => judge(student, { principal: `nobody-${i}`, model: 'digits' }, count)),
  )
  report(
    'innocents, by seeds',
    count,
    seeds.map((seed) => judge(learned(inputs, clean, seeded(100 + seed), epochs), thief, count)),
  )
}
