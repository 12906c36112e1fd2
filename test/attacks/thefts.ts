import type { Images } from '../benign/clients.ts'
import { activeTheft, type Strategy } from './active-thefts.ts'
import { mixtures, reservoirJacobian, targetedSynthesis } from './augmentation-thefts.ts'
import { dataFree } from './data-free.ts'
import { drawings } from './drawings.ts'
import type { ExtractionAttack } from './extraction-attacks.ts'
import { knockoff } from './knockoff.ts'
import type { Random } from './random.ts'
import { blockGrid, lineSearch, noiseSweep, oneAtATime, shuffledPixels, truncations } from './sweeps.ts'

/** A picture of any kind that is no digit. */
const anything = (random: Random) => random.pick(drawings).draw(random)

/** Thefts that no detector here was tuned on. */
export const thefts: readonly ExtractionAttack[] = [
  { name: 'knockoff, adaptive', seeds: 0, queries: (_, random) => knockoff(random) },
  { name: 'copycat', seeds: 0, queries: (_, random) => endless(() => anything(random)) },
  ...drawings.slice(1).map(
    ({ name, draw }): ExtractionAttack => ({
      name: `copycat, ${name}`,
      seeds: 0,
      queries: (_, random) => endless(() => draw(random)),
    }),
  ),
  { name: 'Jacobian, reservoir', seeds: 60, queries: (images, random) => reservoirJacobian(images, random, 60) },
  { name: 'targeted synthesis', seeds: 100, queries: (images, random) => targetedSynthesis(images, random, 100) },
  active('entropy', 'pictures', 20),
  active('k-center', 'pictures', 20),
  active('uncertain then k-center', 'digits', 20),
  { name: 'data-free', seeds: 0, queries: (_, random) => dataFree(random) },
  { name: 'block grid', seeds: 0, queries: (_, random) => blockGrid(random) },
  { name: 'line search', seeds: 0, queries: (_, random) => lineSearch(random) },
  { name: 'truncations', seeds: 0, queries: truncations },
  { name: 'one at a time', seeds: 0, queries: oneAtATime },
  { name: 'noise sweep', seeds: 0, queries: noiseSweep },
  { name: 'shuffled pixels', seeds: 0, queries: shuffledPixels },
  { name: 'mixtures', seeds: 0, queries: mixtures },
]

function active(strategy: Strategy, from: 'pictures' | 'digits', seeds: number): ExtractionAttack {
  return {
    name: `active ${strategy} on ${from}`,
    seeds,
    queries: (images: Images, random) =>
      activeTheft(images, random, { strategy, seeds, candidate: from === 'digits' ? images : () => anything(random) }),
  }
}

function* endless(make: () => Float32Array): Generator<Float32Array, void, Float32Array> {
  for (;;) yield make()
}
