import { type AttackResult, Attempt, type Oracle, type Target } from './oracle.ts'
import type { Random } from './random.ts'
import { lead } from './square.ts'

export interface GenAttackOptions {
  readonly random: Random
  readonly budget: number
  /** L∞ bound. */
  readonly epsilon?: number
  readonly population?: number
  /** Share of pixels that mutate, and how far, against the bound. */
  readonly mutation?: number
  readonly reach?: number
}

interface Member {
  readonly delta: Float32Array
  readonly score: number
}

/**
 * GenAttack: score-based; a population of changes within the bound, parents drawn by fitness, the fittest kept.
 * Alzantot, Sharma, Chakraborty, Zhang, Hsieh and Srivastava, "GenAttack: practical black-box attacks with
 * gradient-free optimization", GECCO 2019 (untargeted: fitness is the lead of the right label).
 */
export function genAttack(oracle: Oracle, target: Target, options: GenAttackOptions): Promise<AttackResult> {
  const { random, epsilon = 0.3, population = 8, mutation = 0.1, reach = 0.5 } = options
  const attempt = new Attempt(oracle, target, options.budget)
  const clip = (value: number) => Math.min(epsilon, Math.max(-epsilon, value))
  const judged = async (delta: Float32Array): Promise<Member> => {
    const image = target.source.map((value, i) => Math.min(1, Math.max(0, value + (delta[i] ?? 0))))
    return { delta, score: lead((await attempt.ask(image)).probabilities, target.label) }
  }
  return attempt.run(async () => {
    let members: Member[] = []
    for (let i = 0; i < population; i++) members.push(await judged(target.source.map(() => random.between(-epsilon, epsilon))))
    for (;;) {
      members.sort((a, b) => a.score - b.score)
      const [best] = members
      if (best === undefined || best.score < 0) return
      const next = [best]
      while (next.length < population) {
        const [mother, father] = [parent(members, random), parent(members, random)]
        const share = (1 + father.score - mother.score) / 2
        const child = mother.delta.map((value, i) => {
          const inherited = random.next() < share ? value : (father.delta[i] ?? 0)
          return random.next() < mutation ? clip(inherited + reach * random.between(-epsilon, epsilon)) : inherited
        })
        next.push(await judged(child))
      }
      members = next
    }
  })
}

/** Drawn with weights exp(−score / 0.1): the better, the likelier. */
function parent(members: readonly Member[], random: Random): Member {
  const least = Math.min(...members.map((member) => member.score))
  const weights = members.map((member) => Math.exp((least - member.score) / 0.1))
  let left = random.next() * weights.reduce((a, b) => a + b, 0)
  for (const [i, weight] of weights.entries()) {
    left -= weight
    const member = members[i]
    if (left <= 0 && member) return member
  }
  return random.pick(members)
}
