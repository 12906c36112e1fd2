import type { Random } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import type { Observed } from '../lab/victim.ts'
import { observeAll, type Scene } from './scene.ts'

/** One kind of honest client, as the model sees it. */
export interface ClientKind {
  readonly name: string
  /** Between two of its requests, milliseconds. */
  readonly paceMs: number
  /** Share of the runs that it gets: long accounts are few. */
  readonly share: number
  readonly queries: (scene: Scene, random: Random) => Promise<Iterable<Observed>>
}

/** Kinds whose inputs are other than the split's images, and must be shown to the model. */
const shown: readonly ClientKind[] = benignKinds.map(({ name, requests }) => ({
  name,
  paceMs: 1_000,
  share: 1,
  queries: async ({ images, victim }, random) =>
    observeAll(
      victim,
      requests(() => random.pick(images), random),
    ),
}))

function* drawn(from: readonly Observed[], count: number, random: Random): Generator<Observed> {
  for (let i = 0; i < count; i++) yield random.pick(from)
}

/** Nine of ten inputs are of one class. */
function* imbalanced({ seen }: Scene, count: number, random: Random): Generator<Observed> {
  const favourite = random.below(10)
  const own = seen.filter(({ fingerprint }) => fingerprint.output.label === favourite)
  for (let i = 0; i < count; i++) yield random.pick(random.next() < 0.9 ? own : seen)
}

/** The same batch every day: each image again in the same order, as a nightly job sends it. */
function* nightly({ seen }: Scene, random: Random): Generator<Observed> {
  const batch = [...drawn(seen, 200, random)]
  for (let night = 0; night < 5; night++) yield* batch
}

export const clientKinds: readonly ClientKind[] = [
  ...shown,
  { name: 'one class mostly', paceMs: 1_000, share: 1, queries: async (scene, random) => imbalanced(scene, 500, random) },
  { name: 'nightly batch', paceMs: 5_000, share: 1, queries: async (scene, random) => nightly(scene, random) },
  { name: 'account of 5,000', paceMs: 10_000, share: 0.5, queries: async ({ seen }, random) => drawn(seen, 5_000, random) },
  { name: 'account of 50,000', paceMs: 10_000, share: 0.1, queries: async ({ seen }, random) => drawn(seen, 50_000, random) },
]
