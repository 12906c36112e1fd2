import { readPlaybook } from '../../cli/instance/roles/respond.ts'
import { detectors } from '../../detectors/registry.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Playbook } from '../../responders/playbooks/playbook.ts'
import type { Random } from '../attacks/random.ts'
import { type Observed, openVictim, type Victim } from '../lab/victim.ts'
import { Arena } from './arena.ts'
import { callerOf } from './events.ts'

export const splits = ['development', 'held-back'] as const
export type Split = (typeof splits)[number]

/** Seeds of the development split lie below a million, those of the held-back one above. */
export function seedOf(split: Split, n: number): number {
  return split === 'held-back' ? 9_000_001 + n : 1 + n
}

export interface SceneOptions {
  readonly split: Split
  readonly delayMs: number
  /** Ordinary requests before an attack begins. */
  readonly before?: number
  readonly activePrincipals?: number
}

/** What every run of an evaluation shares: the victim, the split's images as the model sees them, and the defence. */
export interface Scene {
  readonly options: SceneOptions
  readonly victim: Victim
  readonly images: readonly Float32Array[]
  readonly labels: readonly number[]
  /** The images' fingerprints and answers, in their order. */
  readonly seen: readonly Observed[]
  close(): Promise<void>
}

const strangers = 20
const batch = 250

/** Opens the model and looks at the split's half of the MNIST test images. */
export async function openScene(options: SceneOptions): Promise<Scene> {
  const test = loadMnist('test')
  const half = test.count / 2
  const first = options.split === 'held-back' ? half : 0
  const images = Array.from({ length: half }, (_, i) => test.images.subarray((first + i) * pixels, (first + i + 1) * pixels))
  const victim = await openVictim()
  const labels = [...test.labels.subarray(first, first + half)]
  return { options, victim, images, labels, seen: await observeAll(victim, images), close: () => victim.close() }
}

export async function observeAll(victim: Victim, images: readonly Float32Array[]): Promise<Observed[]> {
  const seen: Observed[] = []
  for (let at = 0; at < images.length; at += batch) seen.push(...(await victim.observe(images.slice(at, at + batch))))
  return seen
}

let playbook: Playbook | undefined

/** An arena with all detectors at their defaults and the default playbook, where nothing has happened yet. */
export function emptyArena({ options, victim }: Scene): Arena {
  const { delayMs, activePrincipals = 1_000 } = options
  playbook ??= readPlaybook(null)
  const hosted = detectors.map((definition) => ({ definition, params: {} }))
  return new Arena({ playbook, delayMs, activePrincipals, detectors: hosted, version: victim.version })
}

/** The same after its ordinary traffic. */
export async function openArena(scene: Scene, random: Random): Promise<Arena> {
  const { options, seen } = scene
  const { before = 2_000 } = options
  const arena = emptyArena(scene)
  for (let i = 0; i < before; i++) {
    await ordinary(arena, seen, random)
    await arena.wait(500)
  }
  return arena
}

/** One of the strangers sends something ordinary. */
export async function ordinary(arena: Arena, seen: readonly Observed[], random: Random): Promise<void> {
  await arena.ask(callerOf(`stranger-${random.below(strangers)}`), () => random.pick(seen))
}

/** One image, as the victim sees it. */
export async function look(victim: Victim, image: Float32Array): Promise<Observed> {
  const [seen] = await victim.observe([image])
  if (seen === undefined) throw new Error('the victim gave no answer')
  return seen
}
