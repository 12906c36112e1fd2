import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { evolution } from '../attacks/evolution.ts'
import { genAttack } from '../attacks/genattack.ts'
import { nes } from '../attacks/nes.ts'
import type { AttackResult, Oracle, Target } from '../attacks/oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { noisy } from '../benign/image.ts'
import { Driver } from '../lab/driver.ts'
import { openVictim, type Victim } from '../lab/victim.ts'

// Attacks that leave no path: what gives them away is that the answers foretell what they ask next.

const images = loadMnist('test')
const image = (i: number) => images.images.subarray(i * pixels, (i + 1) * pixels)

let victim: Victim
before(async () => {
  victim = await openVictim()
})
after(() => victim.close())

type Attack = (oracle: Oracle, target: Target, options: { readonly random: Random; readonly budget: number }) => Promise<AttackResult>

/** What the model saw of an attack of so many queries on an image that it reads rightly. */
async function seenOf(attack: Attack, random: Random, budget: number): Promise<Fingerprint[]> {
  for (;;) {
    const i = random.below(images.count)
    const target = { source: image(i), label: images.labels[i] ?? 0 }
    const [ordinary] = await victim.observe([target.source])
    if (ordinary?.fingerprint.output.label !== target.label) continue
    const seen: Fingerprint[] = []
    const oracle: Oracle = {
      query: async (asked) => {
        const [observed] = await victim.observe([asked])
        assert.ok(observed)
        seen.push(observed.fingerprint)
        return { refused: false, label: observed.fingerprint.output.label, probabilities: observed.probabilities }
      },
    }
    await attack(oracle, target, { random, budget })
    // Some images are misread by chance, before there is anything to follow.
    if (seen.length >= budget / 2) return seen
  }
}

/** The number of the query at which the attacker is named; null for never. */
function foundAt(queries: readonly Fingerprint[], driver = new Driver()): number | null {
  const at = queries.findIndex((each) => driver.feed('attacker', each).some(({ principals }) => principals.includes('attacker')))
  return at < 0 ? null : at + 1
}

/** The same queries, each with the answer to another of those that were read the same. */
function misanswered(queries: readonly Fingerprint[], random: Random): Fingerprint[] {
  const order = queries.map(() => random.next())
  const like = (label: number) => queries.filter(({ output }) => output.label === label)
  const dealt = new Map<number, Fingerprint[]>()
  return queries.map((each) => {
    const { label } = each.output
    const left = dealt.get(label) ?? like(label).sort((a, b) => (order[queries.indexOf(a)] ?? 0) - (order[queries.indexOf(b)] ?? 0))
    dealt.set(label, left)
    const other = left.pop() ?? each
    return { ...each, confidenceTail: other.confidenceTail, output: other.output }
  })
}

describe('near-duplicate probing follows the answers', () => {
  test('an evolution strategy is found within 80 queries on 6 of 10 seeds, and on none when its queries do not follow them', async () => {
    const found: (number | null)[] = []
    const chance: (number | null)[] = []
    for (let seed = 0; seed < 10; seed++) {
      const random = seeded(1_000 + seed)
      const queries = await seenOf((oracle, target, rest) => evolution(oracle, target, { ...rest, epsilon: 0.25 }), random, 80)
      found.push(foundAt(queries))
      chance.push(foundAt(misanswered(queries, random)))
    }
    assert.ok(found.filter((at) => at !== null).length >= 6, `found at ${found}`)
    assert.deepEqual(
      chance.filter((at) => at !== null),
      [],
    )
  })

  test('a genetic algorithm within 100 queries on 5 of 8 seeds', async () => {
    const found: (number | null)[] = []
    for (let seed = 0; seed < 8; seed++) {
      found.push(
        foundAt(await seenOf((oracle, target, rest) => genAttack(oracle, target, { ...rest, epsilon: 0.25 }), seeded(1_100 + seed), 100)),
      )
    }
    assert.ok(found.filter((at) => at !== null).length >= 5, `found at ${found}`)
  })

  test('NES by its pairs within 14 queries, on 10 of 10 seeds', async () => {
    for (let seed = 0; seed < 10; seed++) {
      const random = seeded(1_200 + seed)
      const sigma = random.between(0.005, 0.05)
      const queries = await seenOf((oracle, target, rest) => nes(oracle, target, { ...rest, sigma }), random, 20)
      assert.ok((foundAt(queries) ?? 21) <= 14, `seed ${seed}: ${foundAt(queries)}`)
    }
  })

  test('but no camera, some of whose pixels blink, and no camera of a thousand frames', async () => {
    for (let client = 0; client < 8; client++) {
      const random = seeded(1_300 + client)
      const scene = image(random.below(images.count))
      const blinking = new Set(Array.from({ length: 3 }, () => random.below(pixels)))
      const blinks = () => scene.map((value, i) => (blinking.has(i) && random.next() < 0.3 ? 1 : value))
      const driver = new Driver()
      for (let from = 0; from < (client < 4 ? 200 : 1_000); from += 200) {
        const frames = Array.from({ length: 200 }, () => noisy(client < 4 ? blinks() : scene, 0.01 + 0.01 * (client % 4), random))
        for (const { fingerprint } of await victim.observe(frames))
          assert.deepEqual(driver.feed('camera', fingerprint), [], `client ${client}`)
      }
    }
  })

  test('and no still image, two of whose pixels blink in many shades', async () => {
    for (let client = 0; client < 8; client++) {
      const random = seeded(1_400 + client)
      const scene = image(random.below(images.count))
      const blinking = new Set([random.below(pixels), random.below(pixels)])
      const driver = new Driver()
      const frames = Array.from({ length: 100 }, () =>
        scene.map((value, i) => (blinking.has(i) && random.next() < 0.3 ? random.between(0.3, 1) : value)),
      )
      for (const { fingerprint } of await victim.observe(frames))
        assert.deepEqual(driver.feed('camera', fingerprint), [], `client ${client}`)
    }
  })
})
