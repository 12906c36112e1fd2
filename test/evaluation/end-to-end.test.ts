import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { evaluateNode } from './end-to-end.ts'
import { openScene, type Scene } from './scene.ts'
import { readSettings } from './settings.ts'

let scene: Scene
before(async () => {
  scene = await openScene({ split: 'development', delayMs: 5 })
})
after(() => scene.close())

test('each form of an attack finds a running node that has seen nothing of the others, and honest clients beside it', async () => {
  const told: string[] = []
  const { raw } = await evaluateNode(scene, readSettings(['--only', 'zoo', '--runs', '2', '--split', 'development']), (line) =>
    told.push(line),
  )
  const { measured, reading } = raw as {
    readonly measured: readonly { readonly runs: readonly { readonly contained: number | null }[] }[]
    readonly reading: readonly { readonly asked: number; readonly refused: readonly unknown[] }[]
  }
  assert.equal(told.length, 2, told.join('\n'))
  const contained = measured.flatMap(({ runs }) => runs.map((run) => run.contained ?? Number.POSITIVE_INFINITY))
  assert.equal(contained.length, 4)
  // Whoever is contained before a path can be seen meets what an earlier one left behind.
  assert.ok(
    contained.every((queries) => queries >= 4 && queries <= 40),
    contained.join(),
  )
  assert.ok(reading.length === 8 && reading.every(({ asked, refused }) => asked > 0 && refused.length === 0))
})
