import type { Images } from '../benign/clients.ts'
import { noisy } from '../benign/image.ts'
import type { Threat } from './campaign.ts'
import type { ExtractionAttack } from './extraction-attacks.ts'
import type { AttackResult, Oracle, Target } from './oracle.ts'
import type { QuerySetting } from './query-attacks.ts'

/** Any evasion attack: one of `query-attacks.ts`, or one of the lab's suites, which need fewer things. */
interface Evasion {
  readonly name: string
  readonly run: (oracle: Oracle, setting: QuerySetting) => Promise<AttackResult>
}

/** An evasion attack at one image; every new round starts from a jittered source and draws its step sizes anew. */
export function queryThreat(attack: Evasion, at: Pick<QuerySetting, 'target' | 'other' | 'images'>): Threat {
  return {
    name: attack.name,
    run: (oracle, { random, budget, jitter }) => {
      const moved = (image: Float32Array) => (jitter > 0 ? noisy(image, jitter, random) : image)
      const target: Target = { ...at.target, source: moved(at.target.source) }
      return attack.run(oracle, { target, other: moved(at.other), images: at.images, random, budget })
    },
  }
}

/** A theft: takes what answers it gets until none come. Ends with the campaign's budget, and looks for no image. */
export function extractionThreat(attack: ExtractionAttack, images: Images): Threat {
  return {
    name: attack.name,
    run: async (oracle, { random, budget }) => {
      const queries = attack.queries(images, random)
      let next = queries.next()
      for (let sent = 0; sent < budget && !next.done; sent++) {
        const answer = await oracle.query(next.value)
        if (answer.refused) break
        next = queries.next(answer.probabilities)
      }
      queries.return()
      return null
    },
  }
}
