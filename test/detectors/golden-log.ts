import { readFileSync } from 'node:fs'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import type { HostInput } from '../../pipeline/host/partition/partition-host.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { promptEvent } from '../lab/prompts-events.ts'

// Logs that are the same on every machine: real images, real fingerprints, and answers that no model gave, since its runtime's
// arithmetic is the machine's own.

interface Query {
  readonly principal: string
  readonly image: Float32Array
  readonly label: number
  readonly confidence: number
}

/** Who asks next, by how often: each goes on from where it was. */
type Client = () => Query

const key = new Uint8Array(32).fill(11)
const clip = (value: number) => Math.min(1, Math.max(0, value))

class Images {
  readonly random: Random
  readonly #set = loadMnist('test')
  constructor(random: Random) {
    this.random = random
  }

  any(): { image: Float32Array; label: number } {
    const n = this.random.below(2_000)
    return { image: this.#set.images.slice(n * pixels, (n + 1) * pixels), label: this.#set.labels[n] ?? 0 }
  }

  noisy(image: Float32Array, sigma: number): Float32Array {
    return image.map((value) => clip(value + sigma * this.random.normal()))
  }

  waves(): Float32Array {
    const [a, b, phase] = [this.random.between(0.1, 2), this.random.between(0.1, 2), this.random.between(0, 6)]
    return Float32Array.from({ length: pixels }, (_, i) => 0.5 + 0.5 * Math.sin(a * (i % 28) + b * Math.floor(i / 28) + phase))
  }
}

function mix(a: Float32Array, b: Float32Array, share: number): Float32Array {
  return a.map((value, i) => (1 - share) * value + share * (b[i] ?? 0))
}

/** Halves the way between two inputs until their border is found, and begins again. */
function bisecting(images: Images): Client {
  const { random } = images
  const [from, to] = [images.any(), images.any()]
  let [low, high] = [0, 1]
  return () => {
    const share = (low + high) / 2
    const over = share > 0.61803
    if (over) high = share
    else low = share
    if (high - low < 1e-3) [low, high] = [random.between(0, 0.5), 1]
    return { principal: 'bisecting', image: mix(from.image, to.image, share), label: over ? to.label : from.label, confidence: 0.5 }
  }
}

/** Opposite changes of one input, by three accounts in turn. */
function inPairs(images: Images): Client {
  const { random } = images
  const middle = images.any()
  const grey = new Float32Array(pixels).fill(0.5)
  let direction: Float32Array = grey
  let sign = -1
  return () => {
    sign = -sign
    if (sign > 0) direction = images.noisy(grey, 0.05)
    const image = middle.image.map((value, i) => value + sign * ((direction[i] ?? 0) - 0.5))
    return { principal: `pairs-${random.below(3)}`, image, label: middle.label, confidence: random.between(0.3, 0.6) }
  }
}

/** One pixel of the best so far at a time. */
function searching(images: Images): Client {
  const { random } = images
  const first = images.any()
  let best = first.image
  return () => {
    const image = best.slice()
    image[random.below(pixels)] = random.below(2)
    if (random.below(3) === 0) best = image
    return { principal: 'searching', image, label: first.label, confidence: random.between(0.3, 0.6) }
  }
}

/** One input, brighter by even steps. */
function sweeping(images: Images): Client {
  const { image, label } = images.any()
  let step = 0
  return () => {
    const brightness = 0.2 + 0.02 * (step++ % 40)
    return { principal: 'sweeping', image: image.map((value) => value * brightness), label, confidence: 0.99 }
  }
}

/** Ordinary clients, a camera, and attacks of each sort that the detectors of images know. */
function clientsOf(images: Images): readonly (readonly [weight: number, Client])[] {
  const { random } = images
  const sure = () => 1 - 10 ** -random.between(1, 6)
  const unsure = () => random.between(0.3, 0.6)
  const [scene, varied] = [images.any(), images.any()]
  const paper = new Float32Array(pixels)
  const changed = () => images.noisy(varied.image, 0.1)
  return [
    [40, () => ({ principal: `client-${random.below(60)}`, ...images.any(), confidence: sure() })],
    [4, () => ({ principal: 'camera', image: images.noisy(scene.image, 0.02), label: scene.label, confidence: sure() })],
    [2, () => ({ principal: 'health', ...scene, confidence: 0.99 })],
    [5, bisecting(images)],
    [5, inPairs(images)],
    [5, searching(images)],
    [4, sweeping(images)],
    [4, () => ({ principal: 'thief', image: images.noisy(paper, 0.6), label: 8, confidence: unsure() })],
    [8, () => ({ principal: `ring-${random.below(40)}`, image: images.waves(), label: random.below(3), confidence: unsure() })],
    [4, () => ({ principal: `varying-${random.below(30)}`, image: changed(), label: varied.label, confidence: sure() })],
    [3, () => ({ principal: 'inverted', image: images.any().image.map((value) => 1 - value), label: 8, confidence: sure() })],
  ]
}

function pick(clients: ReturnType<typeof clientsOf>, random: Random): Client {
  let draw = random.below(clients.reduce((sum, [weight]) => sum + weight, 0))
  for (const [weight, client] of clients) {
    draw -= weight
    if (draw < 0) return client
  }
  throw new RangeError('nobody to ask')
}

/** The fingerprints of `count` queries with what goes for their senders. */
export function fingerprints(count: number, seed: number): { principal: string; fingerprint: Fingerprint }[] {
  const random = seeded(seed)
  const profile = readFileSync(new URL('../../inference/models/digits/1/profile.bin', import.meta.url))
  const fingerprinter = openFingerprinter({ profile, key, epoch: 0 })
  const clients = clientsOf(new Images(random))
  return Array.from({ length: count }, () => {
    const { principal, image, label, confidence } = pick(clients, random)()
    const output = new Float32Array(10).fill((1 - confidence) / 9)
    output[label] = confidence
    return { principal, fingerprint: fingerprinter.fingerprint(image, output) }
  })
}

/** As the host meets them: some twice, some late, some of senders whose clocks are off. */
export function queryLog(count: number, seed: number): HostInput[] {
  const random = seeded(seed + 1)
  const log: HostInput[] = []
  let time = epoch
  for (const [n, { principal, fingerprint }] of fingerprints(count, seed).entries()) {
    time += random.next() < 0.002 ? 3_600_000 : 50 + random.below(400)
    const late = random.next() < 0.01 ? random.below(300_000) : 0
    const seen = {
      principal,
      ...fingerprint,
      client: `address-${principal.slice(0, 6)}`,
      agent: `agent-${random.below(4)}`,
      keyCreatedAt: epoch - 86_400_000 * random.below(300),
      answered: random.next() < 0.98,
    }
    const event = observation('fingerprint', n, time - late, seen)
    const skew = random.next() < 0.01 ? 60_000 : 0
    const stamped = { ...event, stamp: { appendedAt: time + 2, sentAt: time + 1 + skew } }
    log.push(stamped)
    if (random.next() < 0.03) log.push(random.next() < 0.5 ? stamped : (log[random.below(log.length)] ?? stamped))
  }
  return log
}

const words =
  'the harbour master wrote down every ship that came in before noon what she carried and who had paid for the berth 42 1998 été Straße письмо 手紙 { } = ; <b> "id": 7'.split(
    ' ',
  )

/** Prompts of 20 to 6,000 characters, with roles, other scripts, and a search for a suffix among them. */
export function promptLog(count: number, seed: number): HostInput[] {
  const random = seeded(seed)
  const fingerprinter = openPromptFingerprinter({ key, epoch: 1, now: () => epoch })
  const token = () => String.fromCharCode(...Array.from({ length: 3 }, () => 33 + random.below(90)))
  const said = (length: number) => Array.from({ length }, () => random.pick(words)).join(' ')
  let suffix = Array.from({ length: 20 }, token)
  return Array.from({ length: count }, (_, n) => {
    const searching = random.next() < 0.2
    const tried = suffix.with(random.below(20), token())
    if (searching && random.below(4) === 0) suffix = tried
    const length = Math.floor(Math.exp(random.between(1, 7)))
    const text = searching ? `Tell me how the magician saws the box in half. ${tried.join(' ')}` : said(length)
    const system = random.next() < 0.3 ? [{ role: 'system', text: said(30) }] : []
    const messages = [...system, { role: 'user', text }]
    const reading = !searching && random.next() < 0.1
    const principal = searching ? 'mallory' : reading ? 'reader' : `user-${random.below(40)}`
    const at = epoch + n * 700
    const event = promptEvent(at, n, principal, { messages }, fingerprinter.fingerprint('m', messages, principal))
    const logitBias = { tokens: 1, largest: random.between(0, 100), hash: (n + 2 ** 40).toString(16).padStart(16, '0') }
    const sampling = reading && event.data.sampling !== null ? { ...event.data.sampling, topLogprobs: 5, maxTokens: 1, logitBias } : null
    return { ...event, data: sampling === null ? event.data : { ...event.data, sampling }, stamp: { appendedAt: at + 1, sentAt: null } }
  })
}
