import type { Images } from '../benign/clients.ts'
import { bandits } from './bandits.ts'
import { cgba } from './cgba.ts'
import { evolution } from './evolution.ts'
import { fewPixels } from './few-pixels.ts'
import { genAttack } from './genattack.ts'
import { geoda } from './geoda.ts'
import { hybrid } from './hybrid.ts'
import { type AttackResult, l2, type Oracle, type Target } from './oracle.ts'
import { parsimonious } from './parsimonious.ts'
import { patchSearch } from './patch-search.ts'
import { qeba } from './qeba.ts'
import type { Random } from './random.ts'
import { rays } from './rays.ts'
import { signHunter } from './sign-hunter.ts'
import { squareL2 } from './square-l2.ts'
import { surfree } from './surfree.ts'
import { transfer } from './transfer.ts'
import { triangle } from './triangle.ts'

export interface QuerySetting {
  readonly target: Target
  /** A natural image that the model reads as another class. */
  readonly other: Float32Array
  readonly random: Random
  readonly budget: number
  /** The attacker's own natural images. */
  readonly images: Images
}

/** One evasion attack; what its users vary is drawn for each run. */
export interface QueryAttack {
  readonly name: string
  /** What it reads of an answer: under label-only answers those by `scores` are blind. */
  readonly reads: 'label' | 'scores'
  /** What it keeps small: L2 length, the largest change of a pixel, or the number of pixels. */
  readonly norm: 'l2' | 'linf' | 'l0'
  readonly run: (oracle: Oracle, setting: QuerySetting) => Promise<AttackResult>
}

/** Attacks beside those of the lab. */
export const queryAttacks: readonly QueryAttack[] = [
  attack('geoda', 'label', 'l2', (oracle, { target, other, ...rest }) =>
    geoda(oracle, target, { ...rest, ...geodaSteps(rest), start: other }),
  ),
  attack('geoda, from noise', 'label', 'l2', (oracle, { target, ...rest }) => geoda(oracle, target, { ...rest, ...geodaSteps(rest) })),
  attack('qeba, waves', 'label', 'l2', (oracle, { target, other, random, budget }) =>
    qeba(oracle, target, { random, budget, start: other, cut: 5 + random.below(8) }),
  ),
  attack('qeba, enlarged', 'label', 'l2', (oracle, { target, other, random, budget }) =>
    qeba(oracle, target, { random, budget, start: other, subspace: 'enlarged', cut: 5 + random.below(8) }),
  ),
  attack('surfree', 'label', 'l2', (oracle, { target, other, random, budget }) =>
    surfree(oracle, target, { random, budget, start: other, angle: random.between(15, 45), cut: 7 + random.below(10) }),
  ),
  attack('triangle', 'label', 'l2', (oracle, { target, other, random, budget }) =>
    triangle(oracle, target, { random, budget, start: other, cut: 5 + random.below(8) }),
  ),
  attack('cgba', 'label', 'l2', (oracle, { target, other, random, budget }) =>
    cgba(oracle, target, { random, budget, start: other, cut: 5 + random.below(8), directions: 10 + random.below(20) }),
  ),
  attack('rays', 'label', 'linf', (oracle, { target, random, budget }) => rays(oracle, target, { random, budget })),
  attack('rays, shuffled', 'label', 'linf', (oracle, { target, random, budget }) =>
    rays(oracle, target, { random, budget, shuffle: true }),
  ),
  attack('square l2', 'scores', 'l2', (oracle, { target, random, budget }) =>
    squareL2(oracle, target, { random, budget, epsilon: random.between(2.5, 3.5), share: random.between(0.1, 0.3) }),
  ),
  attack('sign-hunter', 'scores', 'linf', (oracle, { target, random, budget }) =>
    signHunter(oracle, target, { budget, epsilon: random.between(0.25, 0.4) }),
  ),
  attack('bandits', 'scores', 'linf', (oracle, { target, random, budget }) =>
    bandits(oracle, target, { random, budget, epsilon: random.between(0.25, 0.4), probe: random.between(0.5, 2) }),
  ),
  attack('parsimonious', 'scores', 'linf', (oracle, { target, random, budget }) =>
    parsimonious(oracle, target, { budget, epsilon: random.between(0.25, 0.4), block: 4 + 3 * random.below(2) }),
  ),
  attack('genattack', 'scores', 'linf', (oracle, { target, random, budget }) =>
    genAttack(oracle, target, { random, budget, epsilon: random.between(0.25, 0.4), mutation: random.between(0.05, 0.2) }),
  ),
  attack('evolution', 'scores', 'linf', (oracle, { target, random, budget }) =>
    evolution(oracle, target, {
      random,
      budget,
      epsilon: random.between(0.25, 0.4),
      sigma: random.between(0.4, 1),
      cut: 5 + random.below(5),
    }),
  ),
  attack('patch', 'scores', 'l0', (oracle, { target, random, budget }) =>
    patchSearch(oracle, target, { random, budget, size: 6 + 2 * random.below(3) }),
  ),
  attack('bars', 'scores', 'l0', (oracle, { target, random, budget }) =>
    patchSearch(oracle, target, { random, budget, kind: 'bars', size: 10 + random.below(9), bars: 2 + random.below(3) }),
  ),
  attack('few pixels', 'scores', 'l0', (oracle, { target, random, budget }) =>
    fewPixels(oracle, target, { random, budget, count: 15 + random.below(20) }),
  ),
  attack('transfer, fgsm', 'scores', 'linf', (oracle, { target, ...rest }) =>
    transfer(oracle, target, { ...crafting(rest), method: 'fgsm' }),
  ),
  attack('transfer, pgd', 'scores', 'linf', (oracle, { target, ...rest }) => transfer(oracle, target, crafting(rest))),
  attack('transfer, then square', 'scores', 'linf', (oracle, { target, ...rest }) =>
    hybrid(oracle, target, { ...crafting(rest), goOn: 'square' }),
  ),
  attack('transfer, then boundary', 'scores', 'l2', (oracle, { target, ...rest }) =>
    hybrid(oracle, target, { ...crafting(rest), goOn: 'boundary' }),
  ),
]

/** Whether an image is near enough to its source to count: L2 3, a change of 0.4 in any pixel, or 110 pixels changed. */
export function withinBound(norm: QueryAttack['norm'], source: Float32Array, image: Float32Array): boolean {
  if (norm === 'l2') return l2(source, image) <= 3
  const changes = source.map((value, i) => Math.abs(value - (image[i] ?? 0)))
  return norm === 'linf' ? Math.max(...changes) <= 0.401 : changes.filter((change) => change > 0).length <= 110
}

function attack(name: string, reads: QueryAttack['reads'], norm: QueryAttack['norm'], run: QueryAttack['run']): QueryAttack {
  return { name, reads, norm, run }
}

function geodaSteps({ random }: { random: Random }) {
  return { sigma: random.between(0.2, 0.8), cut: 7 + random.below(8), directions: 10 + random.below(20) }
}

function crafting<T extends { random: Random }>(rest: T) {
  return { ...rest, epsilon: rest.random.between(0.25, 0.4), stolen: 20 + rest.random.below(40) }
}
