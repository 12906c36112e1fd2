import { loadMnist, pixels } from '../../../inference/datasets/mnist.ts'
import type { EventOf } from '../../../schemas/index.ts'
import type { Random } from '../../attacks/random.ts'
import { openVictim, type Victim } from '../../lab/victim.ts'
import { epoch, observation } from '../observations.ts'

const everyMs = 200

/** The digits model as its detectors see it: what was asked, as fingerprint events in order. */
export class VictimTraffic {
  readonly #victim: Victim
  readonly #test = loadMnist('test')
  #count = 0

  constructor(victim: Victim) {
    this.#victim = victim
  }

  static async open(): Promise<VictimTraffic> {
    return new VictimTraffic(await openVictim())
  }

  image(index: number): Float32Array {
    return this.#test.images.subarray(index * pixels, (index + 1) * pixels)
  }

  /** `count` natural images, the sender of the n-th being `principal(n)`. */
  async ordinary(count: number, random: Random, principal: (n: number) => string): Promise<EventOf<'fingerprint'>[]> {
    const events: EventOf<'fingerprint'>[] = []
    for (let from = 0; from < count; from += 200) {
      const images = Array.from({ length: Math.min(200, count - from) }, () => this.image(random.below(this.#test.count)))
      for (const { fingerprint } of await this.#victim.observe(images)) events.push(this.#event(principal(events.length), fingerprint))
    }
    return events
  }

  async query(principal: string, image: Float32Array) {
    const [seen] = await this.#victim.observe([image])
    if (seen === undefined) throw new Error('the model gave no answer')
    return { event: this.#event(principal, seen.fingerprint), probabilities: seen.probabilities, label: seen.fingerprint.output.label }
  }

  close(): Promise<void> {
    return this.#victim.close()
  }

  #event(principal: string, fingerprint: object): EventOf<'fingerprint'> {
    const n = ++this.#count
    return observation('fingerprint', n, epoch + n * everyMs, { principal, ...fingerprint })
  }
}

/** Fingerprints that mean nothing, from many accounts on many models. */
export function* randomFingerprints(random: Random, models: number): Generator<EventOf<'fingerprint'>> {
  for (let n = 0; n < 800; n++) {
    const values = Int16Array.from({ length: 96 }, () => Math.round(random.normal() * 300))
    const exact = random
      .below(2 ** 32)
      .toString(16)
      .padStart(16, '0')
    yield observation('fingerprint', n, epoch + n * 100, {
      principal: `p${random.below(3_000)}`,
      model: `m${random.below(models)}`,
      sketch: Buffer.from(values.buffer).toString('base64'),
      exact,
      residual: random.next() * 8,
      residualTail: random.next(),
      confidenceTail: random.next(),
      classTail: random.next(),
      output: { label: random.below(10), confidence: random.next(), margin: random.next(), entropy: random.next() },
    })
  }
}
