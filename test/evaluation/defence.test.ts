import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { plain, sybil } from '../attacks/forms.ts'
import { evaluatedAttacks } from './attacks.ts'
import { runQueryAttack } from './query-run.ts'
import { openScene, type Scene } from './scene.ts'

/** Most queries until containment, well above the medians that docs/detection.md states. */
const bounds: Readonly<Record<string, number>> = { hopskipjump: 25, boundary: 30, nes: 25, 'simba, pixels': 40, 'sign-opt': 25, geoda: 25 }

describe('the defence as it comes, against one run of each attack', () => {
  let scene: Scene
  before(async () => {
    scene = await openScene({ split: 'development', delayMs: 5 })
  })
  after(() => scene.close())

  const run = (name: string, form = plain) => {
    const attack = evaluatedAttacks.find((one) => one.name === name)
    assert.ok(attack, `there is no attack ${name}`)
    return runQueryAttack(scene, { attack, form, seed: 77, budget: 100, references: [] })
  }

  for (const [name, most] of Object.entries(bounds)) {
    it(`${name} is contained within ${most} queries, before it has what it wants, and nobody else is named`, async () => {
      const { contained, succeeded, strangers, faults } = await run(name)
      assert.ok(contained !== null && contained <= most, `${contained} queries`)
      assert.ok(succeeded === null || succeeded > contained)
      assert.deepEqual([strangers, faults], [0, []])
    })
  }

  it('fifty keys in turn get no further than one', async () => {
    const { found, contained, succeeded } = await run('hopskipjump', sybil({ accounts: 50 }))
    assert.ok(found !== null && contained !== null && contained <= found + 2, `found at ${found}, contained at ${contained}`)
    assert.equal(succeeded, null)
  })
})
