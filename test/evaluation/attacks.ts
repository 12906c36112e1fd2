import { type QueryAttack, queryAttacks } from '../attacks/query-attacks.ts'
import { attackSuites } from '../lab/suites.ts'

export interface EvaluatedAttack extends Pick<QueryAttack, 'name' | 'norm' | 'run'> {
  /** Whether weights of a detector were chosen while looking at it. */
  readonly tuned: boolean
}

/** Those of the lab's attacks that bound each pixel's change. */
const byPixel = new Set(['square', 'nes'])

/** Attacks of the other list that weights were chosen on since. */
const lookedAt = new Set(['evolution', 'genattack'])

/** Every attack on single inputs. */
export const evaluatedAttacks: readonly EvaluatedAttack[] = [
  ...attackSuites.map(({ name, tuned, run }) => ({ name, tuned, run, norm: byPixel.has(name) ? ('linf' as const) : ('l2' as const) })),
  ...queryAttacks.map((attack) => ({ ...attack, tuned: lookedAt.has(attack.name) })),
]
