import { boundaryAttack } from '../attacks/boundary.ts'
import { hopSkipJump } from '../attacks/hopskipjump.ts'
import { nes } from '../attacks/nes.ts'
import type { AttackResult, Oracle, Target } from '../attacks/oracle.ts'
import type { Random } from '../attacks/random.ts'
import { signOpt } from '../attacks/sign-opt.ts'
import { simba } from '../attacks/simba.ts'
import { squareAttack } from '../attacks/square.ts'
import { zoo } from '../attacks/zoo.ts'

export interface Setting {
  readonly target: Target
  /** An ordinary image of another class. */
  readonly other: Float32Array
  readonly random: Random
  readonly budget: number
}

export interface AttackSuite {
  readonly name: string
  /** Whether weights were chosen while looking at it. */
  readonly tuned: boolean
  readonly run: (oracle: Oracle, setting: Setting) => Promise<AttackResult>
}

/** Every attack the lab knows, with the sizes of step that its users vary drawn for each run. */
export const attackSuites: readonly AttackSuite[] = [
  suite('boundary', true, (oracle, { target, other, random, budget }) =>
    boundaryAttack(oracle, target, { random, budget, start: other, ...boundarySteps(random) }),
  ),
  suite('boundary, from noise', true, (oracle, { target, random, budget }) =>
    boundaryAttack(oracle, target, { random, budget, ...boundarySteps(random) }),
  ),
  suite('boundary, no bisection', true, (oracle, { target, other, random, budget }) =>
    boundaryAttack(oracle, target, { random, budget, start: other, bisect: false, ...boundarySteps(random) }),
  ),
  suite('hopskipjump', true, (oracle, { target, other, random, budget }) => hopSkipJump(oracle, target, { random, budget, start: other })),
  suite('hopskipjump, from noise', true, (oracle, { target, random, budget }) => hopSkipJump(oracle, target, { random, budget })),
  suite('square', true, (oracle, { target, random, budget }) =>
    squareAttack(oracle, target, { random, budget, epsilon: random.between(0.2, 0.4) }),
  ),
  suite('simba, pixels', true, (oracle, { target, random, budget }) =>
    simba(oracle, target, { random, budget, epsilon: random.between(0.1, 0.5) }),
  ),
  suite('simba, waves', true, (oracle, { target, random, budget }) =>
    simba(oracle, target, { random, budget, epsilon: random.between(0.2, 0.8), basis: 'dct' }),
  ),
  suite('nes', true, (oracle, { target, random, budget }) => nes(oracle, target, { random, budget, sigma: random.between(0.005, 0.05) })),
  suite('sign-opt', false, (oracle, { target, other, random, budget }) => signOpt(oracle, target, { random, budget, starts: [other] })),
  suite('sign-opt, from noise', false, (oracle, { target, random, budget }) => signOpt(oracle, target, { random, budget })),
  suite('zoo', false, (oracle, { target, random, budget }) =>
    zoo(oracle, target, { random, budget, difference: random.between(0.01, 0.1) }),
  ),
]

function suite(name: string, tuned: boolean, run: AttackSuite['run']): AttackSuite {
  return { name, tuned, run }
}

function boundarySteps(random: Random) {
  return { orthogonal: random.between(0.01, 0.1), towards: random.between(0.01, 0.1) }
}
