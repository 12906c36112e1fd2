import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import * as tf from '@tensorflow/tfjs-core'
import type { Fingerprint } from '../../inference/port.ts'
import { extractionAttacks } from '../attacks/extraction-attacks.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { warp } from '../benign/image.ts'
import { RidgeStudent } from './leakage-student.ts'
import type { Mark, MarkName } from './leakage-victims.ts'

/** How much of an answer the thief is given, and what a student can take as targets of it. */
/** Hardening of the answers. */
export const forms = ['none', 'rounded', 'label-only'] as const
const kinds = 4

/** What was asked of a mark, in order, and what students of the first `queries` reach. */
export interface Recording {
  readonly mark: MarkName
  readonly classes: number
  readonly attack: string
  readonly seed: number
  readonly queries: readonly Seen[]
  readonly reached: readonly Reached[]
}

export interface Seen
  extends Pick<
    Fingerprint,
    'exact' | 'sketch' | 'scale' | 'residual' | 'residualTail' | 'confidenceTail' | 'classTail' | 'referenceDistance' | 'output'
  > {}

export interface Reached {
  readonly queries: number
  /** Share of judged inputs on which the copy agrees with the model, by form; the second with shifted copies of each query. */
  readonly plain: readonly number[]
  readonly augmented: readonly number[]
}

export const ladder = [25, 50, 100, 200, 400, 800, 1_600, 4_000] as const
/** Queries at a time. */
const round = 100

type Thief = (mark: Mark, random: Random) => Generator<Float32Array, void, Float32Array>

function* mixed(mark: Mark, random: Random, share: number): Generator<Float32Array, void, Float32Array> {
  const images = mark.images(random)
  for (;;) yield random.next() < share ? Float32Array.from({ length: 784 }, () => random.next()) : images()
}

function* repeated(mark: Mark, random: Random): Generator<Float32Array, void, Float32Array> {
  const images = mark.images(random)
  const own = Array.from({ length: 100 }, () => images())
  for (let i = 0; ; i++) yield own[i % own.length] as Float32Array
}

const own: Readonly<Record<string, Thief>> = {
  'noise in every other query': (mark, random) => mixed(mark, random, 0.5),
  'noise in nine of ten queries': (mark, random) => mixed(mark, random, 0.9),
  'hundred inputs over and over': repeated,
}

export const thieves: readonly string[] = [
  'digits of the same source',
  'augmented digits',
  ...Object.keys(own),
  'uniform noise',
  'letters',
  'brightness sweep',
  'crops',
  'shapes',
  'interpolation',
  'inverted digits',
  'Jacobian augmentation',
  'grid sweep',
  'textures',
  'one pixel at a time',
  'active learning on digits',
  'active learning on letters',
]

function queriesOf(name: string, mark: Mark, random: Random): Generator<Float32Array, void, Float32Array> {
  const thief = own[name]
  if (thief !== undefined) return thief(mark, random)
  const attack = extractionAttacks.find((each) => each.name === name)
  if (attack === undefined) throw new Error(`there is no attack named ${name}`)
  return attack.queries(mark.images(random), random)
}

export interface Plan {
  readonly mark: MarkName
  readonly attack: string
  readonly seed: number
  /** Queries. */
  readonly most: number
}

function fileOf({ mark, attack, seed }: Plan, cache: string): string {
  return `${cache}/${mark}-${attack.replaceAll(' ', '-')}-${seed}.json`
}

/** What was recorded before, if it was. */
export function recorded(plan: Plan, cache: string): Recording | null {
  const file = fileOf(plan, cache)
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Recording) : null
}

/** Plays one thief and trains his students on the way. */
export async function record(mark: Mark, plan: Plan, cache: string): Promise<Recording> {
  const { attack, seed, most } = plan
  const random = seeded(seed)
  const asking = asker(mark, attack, random)
  const labels = (await mark.ask(mark.judged)).map(({ fingerprint }) => fingerprint.output.label)
  const [plain, shifted] = [new RidgeStudent(mark.classes, kinds, seeded(seed)), new RidgeStudent(mark.classes, kinds, seeded(seed))]
  const judged = plain.featuresOf(mark.judged)
  const queries: Seen[] = []
  const reached: Reached[] = []
  for (const until of ladder.filter((n) => n <= most)) {
    while (queries.length < until) {
      const { images, answers, seen } = await asking(Math.min(round, until - queries.length))
      queries.push(...seen)
      const targets = targetsOf(answers, mark.classes)
      plain.learn(images, targets)
      for (const copy of [images, ...shiftsOf(images, random)]) shifted.learn(copy, targets)
    }
    const [bare, moved] = [byForm(plain.agreement(judged, labels)), byForm(shifted.agreement(judged, labels))]
    reached.push({ queries: until, plain: bare, augmented: moved })
  }
  plain.dispose()
  shifted.dispose()
  const recording: Recording = { mark: plan.mark, classes: mark.classes, attack, seed, queries, reached }
  mkdirSync(cache, { recursive: true })
  writeFileSync(fileOf(plan, cache), JSON.stringify(recording))
  return recording
}

/** Asks so many more of the thief's queries. Thieves who look at answers are told each; the others a batch at a time, which is quicker. */
function asker(mark: Mark, attack: string, random: Random) {
  const play = queriesOf(attack, mark, random)
  const watching = /active|Jacobian/.test(attack)
  let answer: Float32Array | undefined
  const next = () => {
    const { value } = answer === undefined ? play.next() : play.next(answer)
    if (value === undefined) throw new Error(`${attack} ended`)
    return value.slice()
  }
  return async (count: number) => {
    const images: Float32Array[] = []
    const answers: Float32Array[] = []
    const seen: Seen[] = []
    while (images.length < count) {
      const asked = Array.from({ length: watching ? 1 : count }, next)
      images.push(...asked)
      for (const { fingerprint, probabilities } of await mark.ask(asked)) {
        seen.push(brief(fingerprint))
        answers.push(probabilities)
        answer = probabilities
      }
    }
    return { images, answers, seen }
  }
}

/** Three copies of each, moved by up to a pixel: the thief knows that it changes no label. */
function shiftsOf(images: readonly Float32Array[], random: Random): Float32Array[][] {
  const shift = () => random.below(3) - 1
  return Array.from({ length: 3 }, () => images.map((image) => warp(image, { dx: shift(), dy: shift() })))
}

function brief({ exact, sketch, scale, residual, residualTail, confidenceTail, classTail, referenceDistance, output }: Fingerprint): Seen {
  return { exact, sketch: sketch.slice(0, 32), scale, residual, residualTail, confidenceTail, classTail, referenceDistance, output }
}

/** Of a whole answer a student learns the probabilities or, often better, their logarithms. */
function byForm([probabilities = 0, logits = 0, rounded = 0, label = 0]: number[]): number[] {
  return [Math.max(probabilities, logits), rounded, label]
}

/** `[n, kinds, classes]`: probabilities, centred logarithms, rounded to one decimal, the label alone. */
function targetsOf(answers: readonly Float32Array[], classes: number): Float32Array {
  const out = new Float32Array(answers.length * kinds * classes)
  answers.forEach((answer, i) => {
    const label = answer.indexOf(Math.max(...answer))
    const logs = answer.map((p) => Math.max(Math.log(Math.max(p, 1e-9)), -9))
    const mean = logs.reduce((a, b) => a + b, 0) / classes
    for (let c = 0; c < classes; c++) {
      const at = i * kinds * classes + c
      out[at] = answer[c] ?? 0
      out[at + classes] = ((logs[c] ?? 0) - mean) / 9
      out[at + 2 * classes] = Math.round((answer[c] ?? 0) * 10) / 10
      out[at + 3 * classes] = c === label ? 1 : 0
    }
  })
  return out
}

export async function readyBackend(): Promise<void> {
  await tf.setBackend('wasm')
  await tf.ready()
}
