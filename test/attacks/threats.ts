import type { Images } from '../benign/clients.ts'
import { noisy } from '../benign/image.ts'
import type { AttackSuite } from '../lab/suites.ts'
import type { Threat } from './campaign.ts'
import type { ExtractionAttack } from './extraction-attacks.ts'
import type { Target } from './oracle.ts'

/** An evasion attack at one image; every new round starts from a jittered source and draws its step sizes anew. */
export function queryThreat(suite: Pick<AttackSuite, 'name' | 'run'>, target: Target, other: Float32Array): Threat {
  return {
    name: suite.name,
    run: (oracle, { random, budget, jitter }) => {
      const moved = (image: Float32Array) => (jitter > 0 ? noisy(image, jitter, random) : image)
      return suite.run(oracle, { target: { ...target, source: moved(target.source) }, other: moved(other), random, budget })
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
