import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { LimitNodes } from '../bench/limits-nodes.ts'
import type { LimitRun } from '../bench/limits-outcome.ts'

// The truth is outside the limiter: a model server that bills, and clients that add up what they were answered.

const clientsEach = 20
/** Calls set 1.2 aside and take 0.25 in the mean. */
const ceiling = 240

describe('three nodes under one cost ceiling', { timeout: 300_000 }, () => {
  let nodes: LimitNodes
  before(async () => {
    nodes = await LimitNodes.start({ nodes: 3, ceiling, holdMs: [50, 300] })
  })
  after(() => nodes?.stop())

  /** Of the ceiling. */
  function assertNotOverspent(run: LimitRun): void {
    console.log(JSON.stringify(run))
    assert.ok(run.overshootPercent <= 0, `${run.overshootPercent} % overspent by what clients were answered`)
    assert.ok(run.billedOvershootPercent <= 0, `${run.billedOvershootPercent} % overspent by what the model server did`)
    assert.equal(run.sentAway, 0, 'nobody is sent away for long while much is left')
  }

  test('it is not overspent, and what stays unused is less than a call for each node', async () => {
    const run = await nodes.run({ name: 'even', clientsEach, quietMs: 4_000 })
    assertNotOverspent(run)
    // 3 calls of 1.2, and what is kept for a fourth node: 4.2 of 240.
    assert.ok(run.overshootPercent >= -2, `${-run.overshootPercent} % unused`)
  })

  test('nor where a node is killed half-way, and begins anew', async () => {
    const run = await nodes.run({ name: 'killed', clientsEach, quietMs: 4_000, midway: () => nodes.restart('node-2') })
    assertNotOverspent(run)
    assert.ok(run.actedSeconds !== null && (run.failed[0] ?? 0) > 0, 'it was killed while it served')
    // Its 20 calls had 24 set aside, and it had its share of at most a 48th.
    assert.ok(run.billedOvershootPercent >= -14, `${-run.billedOvershootPercent} % unused`)
  })

  test('nor where the process that shares it out is killed half-way, and begins anew', async () => {
    const run = await nodes.run({ name: 'allocator', clientsEach, quietMs: 8_000, midway: () => nodes.restart('respond-1') })
    assertNotOverspent(run)
    assert.ok(run.actedSeconds !== null, 'it was killed')
    assert.ok(run.overshootPercent >= -2, `${-run.overshootPercent} % unused`)
  })
})
