import '@tensorflow/tfjs-backend-wasm'
import * as tf from '@tensorflow/tfjs-core'
// Brings the gradients along.
import '@tensorflow/tfjs-layers'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { buildProfile, samplesOf } from '../../inference/fingerprint/build-profile.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import { letter } from '../attacks/extraction-letters.ts'
import { type Random, seeded } from '../attacks/random.ts'
import type { Images } from '../benign/clients.ts'
import { warp } from '../benign/image.ts'
import { type Observed, openVictim } from './victim.ts'

/** A model that thieves rob in the lab: its own task, its own kind of input. */
export interface Mark {
  readonly name: string
  readonly classes: number
  /** A thief's source of ordinary inputs, none twice before all were drawn. */
  readonly images: (random: Random) => Images
  /** Ordinary inputs that nobody's source holds: what a copy is judged on. */
  readonly judged: readonly Float32Array[]
  ask(images: readonly Float32Array[]): Promise<Observed[]>
  close(): Promise<void>
}

interface Task {
  readonly classes: number
  readonly hidden: readonly number[]
  readonly draw: (random: Random, part: 'fit' | 'thief' | 'judged') => { image: Float32Array; label: number }
}

const train = loadMnist('train')
const test = loadMnist('test')
const judgedCount = 1_000
const digit = (set: typeof train, i: number) => ({ image: set.images.subarray(i * pixels, (i + 1) * pixels), label: set.labels[i] ?? 0 })

/** Development draws from the first half of the test set, the held-back split from the second. */
function digits(random: Random, part: 'fit' | 'thief' | 'judged', heldBack: boolean) {
  if (part === 'fit') return digit(train, random.below(50_000))
  if (part === 'judged') return digit(train, 50_000 + random.below(10_000))
  return digit(test, random.below(5_000) + (heldBack ? 5_000 : 0))
}

/** A letter and which: the generator picks from its alphabet first. */
function labelledLetter(random: Random) {
  let label = -1
  const pick: Random['pick'] = (items) => {
    const at = random.below(items.length)
    if (label < 0) label = at
    return items[at] as (typeof items)[number]
  }
  return { image: letter({ ...random, pick }), label }
}

function tasks(heldBack: boolean): Readonly<Record<string, Task>> {
  return {
    letters: { classes: 21, hidden: [96], draw: (random) => labelledLetter(random) },
    turned: {
      classes: 10,
      hidden: [128, 48],
      draw: (random, part) => {
        const { image, label } = digits(random, part, heldBack)
        return { image: warp(image, { angle: random.between(-0.8, 0.8) }), label }
      },
    },
    halves: {
      classes: 2,
      hidden: [96],
      draw: (random, part) => {
        const { image, label } = digits(random, part, heldBack)
        return { image, label: label < 5 ? 0 : 1 }
      },
    },
    few: {
      classes: 4,
      hidden: [64],
      draw: (random, part) => {
        for (;;) {
          const found = digits(random, part, heldBack)
          if (found.label < 4) return found
        }
      },
    },
  }
}

export const markNames = ['digits', 'turned', 'halves', 'few', 'letters'] as const
export type MarkName = (typeof markNames)[number]

/** The digits model is the one that is shipped; the others are trained here, some seconds each, the same from the same seeds. */
export async function openMark(name: MarkName, heldBack: boolean): Promise<Mark> {
  if (name === 'digits') return shipped(heldBack)
  const task = tasks(heldBack)[name]
  if (task === undefined) throw new Error(`there is no task named ${name}`)
  const predict = fitted(task, seeded(77))
  const profiled = examples(task, seeded(78), 6_000, 'judged')
  const key = new Uint8Array(32).fill(13)
  const profile = buildProfile({
    shape: [28, 28, 1],
    range: [0, 1],
    inputs: samplesOf(profiled.images.slice(0, 3_000 * pixels), pixels),
    calibration: samplesOf(profiled.images.slice(3_000 * pixels), pixels),
    outputs: predict(profiled.images.slice(3_000 * pixels)),
    classes: task.classes,
  })
  const { fingerprint } = openFingerprinter({ profile, key, epoch: 0 })
  const judging = seeded(79)
  return {
    name,
    classes: task.classes,
    images: (random) => () => task.draw(random, 'thief').image,
    judged: Array.from({ length: judgedCount }, () => task.draw(judging, 'judged').image.slice()),
    async ask(images) {
      const output = predict(stacked(images))
      return images.map((image, i) => {
        const probabilities = output.slice(i * task.classes, (i + 1) * task.classes)
        return { probabilities, fingerprint: fingerprint(image, probabilities) }
      })
    },
    close: async () => {},
  }
}

async function shipped(heldBack: boolean): Promise<Mark> {
  const victim = await openVictim()
  const judging = seeded(79)
  const from = heldBack ? 5_000 : 0
  return {
    name: 'digits',
    classes: 10,
    images: (random) => {
      const order = Uint32Array.from({ length: 5_000 }, (_, i) => i + from)
      let at = 0
      return () => {
        const j = (at % order.length) + random.below(order.length - (at % order.length))
        const chosen = order[j] as number
        order[j] = order[at % order.length] as number
        order[at++ % order.length] = chosen
        return digit(test, chosen).image
      }
    },
    judged: Array.from({ length: judgedCount }, () => digit(train, 50_000 + judging.below(10_000)).image),
    ask: async (images) => {
      const found: Observed[] = []
      for (let at = 0; at < images.length; at += 250) found.push(...(await victim.observe(images.slice(at, at + 250))))
      return found
    },
    close: () => victim.close(),
  }
}

export function stacked(images: readonly Float32Array[]): Float32Array {
  const all = new Float32Array(images.length * pixels)
  images.forEach((image, i) => all.set(image, i * pixels))
  return all
}

function examples(task: Task, random: Random, count: number, part: 'fit' | 'judged') {
  const images = new Float32Array(count * pixels)
  const labels = new Int32Array(count)
  for (let i = 0; i < count; i++) {
    const { image, label } = task.draw(random, part)
    images.set(image, i * pixels)
    labels[i] = label
  }
  return { images, labels }
}

/** A multilayer perceptron, trained; returns its probabilities for `[n, 784]` inputs as `[n, classes]`. */
function fitted(task: Task, random: Random): (inputs: Float32Array) => Float32Array {
  const count = 8_000
  const batch = 64
  const { images, labels } = examples(task, random, count, 'fit')
  const sizes = [pixels, ...task.hidden, task.classes]
  const weights = sizes.slice(1).map((units, l) => {
    const inputs = sizes[l] ?? 1
    const initial = Float32Array.from({ length: inputs * units }, () => random.normal() * Math.sqrt(2 / inputs))
    return { kernel: tf.variable(tf.tensor2d(initial, [inputs, units])), bias: tf.variable(tf.zeros([units])) }
  })
  const logits = (x: tf.Tensor2D) =>
    weights.reduce<tf.Tensor2D>((h, { kernel, bias }, l) => {
      const sums = tf.add(tf.matMul(h, kernel as tf.Tensor2D), bias) as tf.Tensor2D
      return l + 1 < weights.length ? tf.relu(sums) : sums
    }, x)
  const optimizer = tf.train.adam(0.002)
  for (let step = 0; step < (5 * count) / batch; step++) {
    const chosen = Int32Array.from({ length: batch }, () => random.below(count))
    const x = stacked(Array.from(chosen, (i) => images.subarray(i * pixels, (i + 1) * pixels)))
    tf.tidy(() => {
      const inputs = tf.tensor2d(x, [batch, pixels])
      const wanted = tf.oneHot(
        tf.tensor1d(
          Int32Array.from(chosen, (i) => labels[i] ?? 0),
          'int32',
        ),
        task.classes,
      )
      optimizer.minimize(() => tf.losses.softmaxCrossEntropy(wanted, logits(inputs)))
    })
  }
  return (inputs) =>
    tf.tidy(() => tf.softmax(logits(tf.tensor2d(inputs, [inputs.length / pixels, pixels]))).dataSync() as Float32Array).slice()
}
