import { boundaryAttack } from './boundary.ts'
import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import { squareAttack } from './square.ts'
import { sendCrafted, type TransferOptions, trainedStudent } from './transfer.ts'

export interface HybridOptions extends TransferOptions {
  /** What goes on from the crafted image: a search by scores, or a walk along the boundary by labels. */
  readonly goOn: 'square' | 'boundary'
  /** Crafted images sent before that. */
  readonly crafted?: number
}

/**
 * Hybrid: a query attack that begins where a transferred image ended. Suya, Chi, Evans and Tian, "Hybrid batch attacks:
 * finding black-box adversarial examples with limited queries", USENIX Security 2020.
 */
export async function hybrid(oracle: Oracle, target: Target, options: HybridOptions): Promise<AttackResult> {
  const { random, crafted = 3, epsilon = 0.3 } = options
  const first = new Attempt(oracle, target, options.budget)
  const found: { image: Float32Array | null } = { image: null }
  // A walk needs a misread start and may find it far away; a search needs a start within its bound.
  const reach = options.goOn === 'boundary' ? Math.min(1, 2 * epsilon) : epsilon
  const opening = await first.run(async () => {
    const student = await trainedStudent(first, options)
    found.image = await sendCrafted(first, student, { ...options, epsilon: reach }, crafted)
  })
  const budget = options.budget - opening.queries
  if (opening.stopped !== 'done' || budget <= 0) return opening
  const start = found.image
  if (options.goOn === 'square') {
    if (start !== null) return opening
    return joined(opening, await squareAttack(oracle, target, { random, budget, epsilon }))
  }
  return joined(opening, await boundaryAttack(oracle, target, { random, budget, ...(start && { start }) }))
}

function joined(first: AttackResult, second: AttackResult): AttackResult {
  const nearer = second.distance <= first.distance ? second : first
  return { ...nearer, queries: first.queries + second.queries, stopped: second.stopped }
}
