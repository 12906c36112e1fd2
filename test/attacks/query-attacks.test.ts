import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openDigitsOracle } from './digits-oracle.ts'
import type { Oracle } from './oracle.ts'
import { queryAttacks, withinBound } from './query-attacks.ts'
import { seeded } from './random.ts'

// Ten images each, undefended. [attack, budget, bound, at least so many of ten]. For 'l2' the bound is a distance, wider
// than the 3.0 that counts as success elsewhere so that few queries do: sources are 9 to 11 from the image begun at.
const table: readonly (readonly [name: string, budget: number, l2: number | null, least: number])[] = [
  ['geoda', 150, 5.5, 4],
  ['geoda, from noise', 150, 6.5, 4],
  ['qeba, waves', 150, 4.5, 5],
  ['qeba, enlarged', 150, 4.5, 5],
  ['surfree', 150, 4.5, 5],
  ['triangle', 150, 5.5, 4],
  ['cgba', 150, 5.5, 4],
  ['rays', 80, null, 7],
  ['rays, shuffled', 80, null, 7],
  ['square l2', 200, null, 2],
  ['sign-hunter', 150, null, 4],
  ['bandits', 150, null, 3],
  ['parsimonious', 150, null, 3],
  ['genattack', 150, null, 3],
  ['evolution', 200, null, 6],
  ['patch', 120, null, 4],
  ['bars', 120, null, 7],
  ['few pixels', 150, null, 2],
  ['transfer, fgsm', 64, null, 3],
  ['transfer, pgd', 64, null, 3],
  ['transfer, then square', 120, null, 2],
  ['transfer, then boundary', 200, 7.5, 4],
]

describe('attacks on the digits model, undefended', () => {
  const test = loadMnist('test')
  const image = (i: number) => test.images.subarray(i * pixels, (i + 1) * pixels)
  let oracle: Awaited<ReturnType<typeof openDigitsOracle>>
  before(async () => {
    oracle = await openDigitsOracle()
  })
  after(() => oracle.close())

  const readAs = async (asked: Float32Array) => {
    const answer = await oracle.query(asked)
    return answer.refused ? -1 : answer.label
  }
  const drawn = async (random: ReturnType<typeof seeded>, fits: (label: number, at: number) => boolean) => {
    for (;;) {
      const at = random.below(test.count / 2)
      const label = await readAs(image(at))
      if (fits(label, at)) return { at, label }
    }
  }

  it('has a row for each', () =>
    assert.deepEqual(
      table.map(([name]) => name),
      queryAttacks.map(({ name }) => name),
    ))

  for (const [name, budget, l2, least] of table) {
    it(`${name}: misread within its bound on ${least} of ten at least, in ${budget} queries`, async () => {
      const attack = queryAttacks.find((each) => each.name === name)
      assert.ok(attack)
      const outcomes = await Promise.all(
        Array.from({ length: 10 }, async (_, seed) => {
          const random = seeded(500 + seed)
          const { at, label } = await drawn(random, (read, i) => read === test.labels[i])
          const other = await drawn(random, (read) => read !== label)
          const target = { source: image(at), label }
          let asked = 0
          const counted: Oracle = {
            query: (shown) => {
              asked++
              if (asked % 10 === 0) assert.ok(Math.min(...shown) >= 0 && Math.max(...shown) <= 1, 'a pixel outside 0..1')
              return oracle.query(shown)
            },
          }
          const images = () => image(random.below(test.count / 2))
          const result = await attack.run(counted, { target, other: image(other.at), images, random, budget })
          assert.equal(result.queries, asked)
          assert.ok(asked <= budget)
          if (result.adversarial === null) return false
          assert.notEqual(await readAs(result.adversarial), label, 'what it calls misread is misread')
          return l2 === null ? withinBound(attack.norm, target.source, result.adversarial) : result.distance <= l2
        }),
      )
      const found = outcomes.filter(Boolean).length
      assert.ok(found >= least, `${found} of ten`)
    })
  }
})
