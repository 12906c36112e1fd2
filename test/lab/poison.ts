import { extractionSweep } from '../../detectors/extraction-sweep/extraction-sweep.ts'
import { loadMnist, type Mnist, pixels, splitTraining } from '../../inference/datasets/mnist.ts'
import { buildProfile, samplesOf } from '../../inference/fingerprint/build-profile.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprint, Fingerprinter } from '../../inference/port.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { type ExtractionAttack, extractionAttacks } from '../attacks/extraction-attacks.ts'
import type { Oracle } from '../attacks/oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { squareAttack } from '../attacks/square.ts'
import { observation } from '../contracts/observations.ts'
import { Driver } from './driver.ts'
import { labOptions } from './options.ts'
import { inMemory } from './stream.ts'
import { openVictim } from './victim.ts'

const about = `Measures what a reference profile is worth that was learned from traffic a share of which was an attack from the start: queries until each
detector speaks, and ordinary accounts that it speaks of, with the profile of clean and of mixed inputs.`

const options = labOptions(about, {
  split: { type: 'string', default: 'development' },
  runs: { type: 'string', default: '10' },
  accounts: { type: 'string', default: '300' },
  share: { type: 'string', default: '0.1' },
  suspect: { type: 'string', default: '0.1' },
  only: { type: 'string', default: '' },
})
const heldBack = options.split === 'held-back'
const firstSeed = heldBack ? 4_700_001 : 1
const [runs, share, suspect] = [Number(options.runs), Number(options.share), Number(options.suspect)]
const inputsInAll = 6_000
const start = Date.UTC(2026, 0, 5)
const levels = [0.5, 0.9] as const
const victim = await openVictim()
const { fit, calibration } = splitTraining(loadMnist('train'))
const test = loadMnist('test')
const half = test.count / 2

interface Answered {
  readonly image: Float32Array
  readonly probabilities: Float32Array
}

const imageOf = ({ images }: Mnist, i: number) => images.subarray(i * pixels, (i + 1) * pixels)
const natural = (random: Random) => imageOf(test, random.below(half) + (heldBack ? half : 0))

async function answered(images: readonly Float32Array[]): Promise<Answered[]> {
  const found: Answered[] = []
  for (let at = 0; at < images.length; at += 250) {
    const batch = images.slice(at, at + 250)
    const seen = await victim.observe(batch)
    batch.forEach((image, i) => found.push({ image, probabilities: seen[i]?.probabilities ?? new Float32Array(10) }))
  }
  return found
}

async function extraction({ queries, seeds }: ExtractionAttack, seed: number, count: number): Promise<Answered[]> {
  const random = seeded(seed)
  const asked = queries(() => natural(random), random)
  const found: Answered[] = []
  for (let next = asked.next(); !next.done && found.length < count + seeds; ) {
    const [answer] = await answered([next.value.slice()])
    if (answer === undefined) break
    found.push(answer)
    next = asked.next(answer.probabilities)
  }
  return found
}

/** Every query of searches for adversarial examples, one target after the other. */
async function search(name: string, seed: number, count: number): Promise<Answered[]> {
  const random = seeded(seed)
  const found: Answered[] = []
  const oracle: Oracle = {
    query: async (image) => {
      const [answer] = await answered([image.slice()])
      if (answer === undefined || found.length >= count) return { refused: true, status: 429, retryAfterMs: null }
      found.push(answer)
      return { refused: false, label: labelOf(answer), probabilities: answer.probabilities }
    },
  }
  while (found.length < count) {
    const [target, other] = await answered([natural(random), natural(random)])
    if (target === undefined || other === undefined || labelOf(target) === labelOf(other)) continue
    const aim = { source: target.image, label: labelOf(target) }
    const budget = Math.min(200, count - found.length)
    if (name === 'Square') await squareAttack(oracle, aim, { random, budget })
    else await boundaryAttack(oracle, aim, { random, budget, start: other.image })
  }
  return found
}

function labelOf({ probabilities }: Answered): number {
  return probabilities.indexOf(Math.max(...probabilities))
}

function profileOf(inputs: readonly Answered[], held: readonly Answered[], suspected: number): Fingerprinter {
  const joined = (all: readonly Answered[]) => {
    const images = new Float32Array(all.length * pixels)
    all.forEach(({ image }, i) => images.set(image, i * pixels))
    return samplesOf(images, pixels)
  }
  const outputs = Float32Array.from(held.flatMap(({ probabilities }) => [...probabilities]))
  const set = { shape: [pixels], range: [0, 1] as const, inputs: joined(inputs), calibration: joined(held), outputs, classes: 10 }
  return openFingerprinter({ profile: buildProfile({ ...set, suspect: suspected }), key: new Uint8Array(32).fill(5), epoch: 0 })
}

const seenBy = (by: Fingerprinter, stream: readonly Answered[]) =>
  stream.map(({ image, probabilities }) => by.fingerprint(image, probabilities))

/** Queries until extraction-sweep is as sure as each level. */
function sweepAt(stream: readonly Fingerprint[]): (number | undefined)[] {
  const see = inMemory(extractionSweep, {})
  const at: (number | undefined)[] = []
  stream.forEach((fingerprint, n) => {
    const event = observation('fingerprint', n, start + n * 1_000, { principal: 'p', ...fingerprint })
    for (const { confidence } of see(event)) for (const [l, level] of levels.entries()) if (confidence >= level) at[l] ??= n + 1
  })
  return at
}

/** Queries until near-duplicate-probing speaks. */
function probingAt(stream: readonly Fingerprint[]): (number | undefined)[] {
  const driver = new Driver()
  const at: (number | undefined)[] = []
  stream.forEach((fingerprint, n) => {
    for (const { confidence } of driver.feed('p', fingerprint))
      for (const [l, level] of levels.entries()) if (confidence >= level) at[l] ??= n + 1
  })
  return at
}

function summary(found: readonly (number | undefined)[]): string {
  const sorted = found.map((n) => n ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b)
  const caught = found.filter((n) => n !== undefined).length
  return `${caught}/${found.length}: ${sorted[sorted.length >> 1]} / ${sorted[Math.floor(0.95 * sorted.length)]}`
}

const ordinary = await answered(Array.from({ length: half }, (_, i) => imageOf(test, i + (heldBack ? half : 0))))
const clean = await answered(Array.from({ length: inputsInAll }, (_, i) => imageOf(fit, i)))
const held = await answered(Array.from({ length: inputsInAll }, (_, i) => imageOf(calibration, i)))
const cleanly = profileOf(clean, held, 0)

/** Accounts of 200 ordinary queries each that extraction-sweep and near-duplicate-probing speak of, at the lower level. */
function touchedBy(profile: Fingerprinter): string {
  const seen = seenBy(profile, ordinary)
  let [sweep, probing] = [0, 0]
  for (let a = 0; a < Number(options.accounts); a++) {
    const random = seeded(firstSeed + 10_000 + a)
    const stream = Array.from({ length: 200 }, () => random.pick(seen))
    if (sweepAt(stream)[0] !== undefined) sweep++
    if (probingAt(stream)[0] !== undefined) probing++
  }
  const tails = (name: 'residualTail' | 'classTail', level: number) =>
    `${((100 * seen.filter((f) => f[name] <= level).length) / seen.length).toFixed(1)} %`
  return `sweep ${sweep}, probing ${probing} of ${options.accounts}; ordinary ≤ 0.01: residual ${tails('residualTail', 0.01)}, class ${tails('classTail', 0.01)}; ≤ 0.1: ${tails('residualTail', 0.1)}, ${tails('classTail', 0.1)}`
}

console.log(`clean profile: ${touchedBy(cleanly)}`)
console.log(`clean, suspected: ${touchedBy(profileOf(clean, held, suspect))}`)
const cautious = profileOf(clean, held, suspect)
const thefts = ['uniform noise', 'letters', 'crops', 'shapes', 'textures', 'Jacobian augmentation']
for (const name of [...thefts, 'Square', 'Boundary']) {
  if (!name.includes(options.only)) continue
  const theft = extractionAttacks.find((each) => each.name === name)
  const play = (seed: number, count: number) => (theft === undefined ? search(name, seed, count) : extraction(theft, seed, count))
  const brought = Math.round(share * inputsInAll)
  const mixed = async (natural: readonly Answered[], seed: number) => [
    ...natural.slice(0, inputsInAll - brought),
    ...(await play(seed, brought)).slice(-brought),
  ]
  const [inputs, held10] = [await mixed(clean, firstSeed + 500), await mixed(held, firstSeed + 501)]
  const streams = await Promise.all(Array.from({ length: runs }, (_, r) => play(firstSeed + 600 + r, 300)))
  for (const [label, profile] of [
    ['clean', cleanly],
    ['clean, suspected', cautious],
    ['mixed, trusted', profileOf(inputs, held10, 0)],
    ['mixed, suspected', profileOf(inputs, held10, suspect)],
  ] as const) {
    const at = streams.map((stream) => (theft === undefined ? probingAt : sweepAt)(seenBy(profile, stream)))
    const says = levels.map((level, l) => `≥ ${level} ${summary(at.map((each) => each[l]))}`).join(' · ')
    console.log(`${name} · ${label} · ${says}${label.startsWith('mixed') ? ` · ${touchedBy(profile)}` : ''}`)
  }
}
await victim.close()
