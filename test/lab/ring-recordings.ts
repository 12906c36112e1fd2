import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { extractionAttacks } from '../attacks/extraction-attacks.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import { openVictim, type Victim } from './victim.ts'

/** What a ring's lab needs of the model: fingerprints, made once and kept in a folder, since the model is slower than all else. */
export interface Recordings {
  /** Ordinary inputs, each once. */
  readonly natural: readonly Fingerprint[]
  attack(name: string, seed: number, count: number): Promise<readonly Fingerprint[]>
  /** One client of a benign kind. */
  benign(kind: string, seed: number): Promise<readonly Fingerprint[]>
  close(): Promise<void>
}

/** @param folder where recordings are kept; they hold fingerprints only, and may be removed at any time */
export async function openRecordings(folder: string, heldBack: boolean): Promise<Recordings> {
  mkdirSync(folder, { recursive: true })
  let opened: Promise<Victim> | undefined
  const victim = () => (opened ??= openVictim())
  const test = loadMnist('test')
  const half = test.count / 2
  const first = heldBack ? half : 0
  const image = (i: number) => test.images.subarray((first + i) * pixels, (first + i + 1) * pixels)
  const source = (random: Random) => () => image(random.below(half))
  const side = heldBack ? 'held-back' : 'development'

  async function kept(name: string, make: () => Promise<Fingerprint[]>): Promise<readonly Fingerprint[]> {
    const file = `${folder}/${side}-${name.replaceAll(/[^a-z0-9]+/gi, '-')}.json`
    if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8')) as Fingerprint[]
    const made = await make()
    writeFileSync(file, JSON.stringify(made))
    return made
  }
  async function observed(images: readonly Float32Array[]): Promise<Fingerprint[]> {
    const found: Fingerprint[] = []
    for (let at = 0; at < images.length; at += 250)
      for (const { fingerprint } of await (await victim()).observe(images.slice(at, at + 250))) found.push(fingerprint)
    return found
  }
  async function attacked(name: string, seed: number, count: number): Promise<Fingerprint[]> {
    const attack = extractionAttacks.find((each) => each.name === name)
    if (attack === undefined) throw new Error(`No attack is named ${name}.`)
    const random = seeded(seed)
    const queries = attack.queries(source(random), random)
    const found: Fingerprint[] = []
    const images: Float32Array[] = []
    for (let next = queries.next(); !next.done && found.length + images.length < count; ) {
      if (attack.seeds === 0) {
        images.push(next.value)
        next = queries.next(new Float32Array(10))
        continue
      }
      const [seen] = await (await victim()).observe([next.value])
      if (seen === undefined) break
      found.push(seen.fingerprint)
      next = queries.next(seen.probabilities)
    }
    return [...found, ...(await observed(images))]
  }
  return {
    natural: await kept('natural', () => observed(Array.from({ length: half }, (_, i) => image(i)))),
    attack: (name, seed, count) => kept(`attack-${name}-${seed}-${count}`, () => attacked(name, seed, count)),
    benign: (name, seed) =>
      kept(`benign-${name}-${seed}`, () => {
        const kind = benignKinds.find((each) => each.name === name)
        if (kind === undefined) throw new Error(`No benign kind is named ${name}.`)
        const random = seeded(seed)
        return observed(kind.requests(source(random), random))
      }),
    close: async () => (await opened)?.close(),
  }
}
