import type { Exchange } from '../attacks/campaign.ts'
import { looksHardened } from '../attacks/disguise.ts'
import type { Form } from '../attacks/forms.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import type { Oracle, Target } from '../attacks/oracle.ts'
import { withinBound } from '../attacks/query-attacks.ts'
import { seeded } from '../attacks/random.ts'
import { runCampaign } from '../attacks/run-campaign.ts'
import { queryThreat } from '../attacks/threats.ts'
import type { Instance } from '../end-to-end/instance.ts'
import type { EvaluatedAttack } from './attacks.ts'
import type { Scene } from './scene.ts'

/** What one attack on a running node came to; queries are those of the attack. */
export interface NodeRun {
  readonly queries: number
  /** Answered before the first that was refused, or that told less. */
  readonly refused: number | null
  readonly contained: number | null
  readonly succeeded: number | null
  readonly elapsedMs: number
}

/** One attack over HTTP, with keys made for it. Time is the node's own: forms that wait do so in name only. */
export async function attackNode(
  scene: Scene,
  instance: Instance,
  { attack, form, seed, budget, name }: { attack: EvaluatedAttack; form: Form; seed: number; budget: number; name: string },
): Promise<NodeRun> {
  const random = seeded(seed)
  const oracles = new Map<string, Oracle>()
  const oracleOf = async (principal: string) => {
    const known = oracles.get(principal)
    if (known !== undefined) return known
    const { key } = await instance.createKey(principal)
    const made = httpOracle({ url: instance.inference, model: 'digits', key: () => key })
    oracles.set(principal, made)
    return made
  }
  const read = async (image: Float32Array) => {
    const answer = await (await oracleOf(`${name}-scout`)).query(image)
    if (answer.refused) throw new Error(`an ordinary image was refused with ${answer.status}`)
    return answer.label
  }
  const source = random.pick(scene.images)
  const target: Target = { source, label: await read(source) }
  let other = random.pick(scene.images)
  while ((await read(other)) === target.label) other = random.pick(scene.images)
  const images = () => random.pick(scene.images)
  const tally = new Tally(attack, target)
  const began = performance.now()
  await runCampaign(
    {
      threat: queryThreat(attack, { target, other, images }),
      form,
      accounts: { query: async (principal, image) => (await oracleOf(principal)).query(image) },
      random,
      principals: Array.from({ length: 50 }, (_, i) => `${name}-${i}`),
      images,
      budget,
    },
    (exchange) => {
      if (exchange.origin === 'attack') tally.count(exchange)
      return true
    },
  )
  return { ...tally.result(), elapsedMs: Math.round(performance.now() - began) }
}

class Tally {
  readonly #attack: EvaluatedAttack
  readonly #target: Target
  #queries = 0
  #refused: number | null = null
  #contained: number | null = null
  #succeeded: number | null = null

  constructor(attack: EvaluatedAttack, target: Target) {
    this.#attack = attack
    this.#target = target
  }

  count({ image, answer }: Exchange): void {
    if (answer.refused) this.#refused ??= this.#queries
    if (answer.refused || looksHardened(answer.probabilities)) this.#contained ??= this.#queries
    this.#queries++
    const fooled = !answer.refused && answer.label !== this.#target.label
    if (fooled && withinBound(this.#attack.norm, this.#target.source, image)) this.#succeeded ??= this.#queries
  }

  result(): Omit<NodeRun, 'elapsedMs'> {
    return { queries: this.#queries, refused: this.#refused, contained: this.#contained, succeeded: this.#succeeded }
  }
}
