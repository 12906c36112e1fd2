import { type QueryAttack, queryAttacks } from '../attacks/query-attacks.ts'
import { attackSuites } from '../lab/suites.ts'

export interface EvaluatedAttack extends Pick<QueryAttack, 'name' | 'norm' | 'run'> {
  /** Whether weights of a detector were chosen while looking at it. */
  readonly tuned: boolean
}

/** Those of the lab's attacks that bound each pixel's change. */
const byPixel = ['square', 'nes']

/** Every attack on single inputs. */
export const evaluatedAttacks: readonly EvaluatedAttack[] = [
  ...attackSuites.map(({ name, tuned, run }) => ({ name, tuned, run, norm: byPixel.includes(name) ? ('linf' as const) : ('l2' as const) })),
  ...queryAttacks.map((attack) => ({ ...attack, tuned: false })),
]
