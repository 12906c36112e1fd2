import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Cluster, type ClusterOptions } from './cluster.ts'
import { rule } from './payers.ts'

/** 4 nodes with 200 clients each, whose calls set 1 aside and take 0.05 to 0.4, by a network of 5 to 500 ms each way. */
const ordinary: ClusterOptions = {
  rule: rule({ amount: 5_000 }),
  nodes: 4,
  clients: 800,
  seed: 1,
  delayMs: [5, 500],
  durationMs: 60_000,
  most: 1,
  used: (random) => random.between(0.05, 0.4),
}

describe('4 nodes × 200 clients under one cost ceiling', () => {
  const rows: readonly { readonly what: string; readonly with: Partial<ClusterOptions>; readonly unused: number }[] = [
    { what: 'with even traffic', with: {}, unused: 0.01 },
    { what: 'with messages that come twice', with: { duplicated: 0.2 }, unused: 0.01 },
    { what: 'with calls that take all that they set aside', with: { used: () => 1 }, unused: 0.01 },
    { what: 'with all traffic at one node', with: { nodeOf: () => 0 }, unused: 0.01 },
    { what: 'with 19 of 20 clients at one node', with: { nodeOf: (c) => (c % 20 === 0 ? 1 + (c % 3) : 0) }, unused: 0.01 },
    { what: 'with an allocator that begins anew from the log', with: { restartAtMs: 5_000, duplicated: 0.2 }, unused: 0.01 },
    { what: 'with nobody in charge for a while', with: { takeover: { atMs: 2_000, forMs: 5_000 }, duplicated: 0.2 }, unused: 0.01 },
    // What the dead node had is lost: its share, and what its calls had set aside.
    { what: 'with a node that is killed', with: { kill: { node: 1, atMs: 4_000 } }, unused: 0.06 },
    // A process that begins after the ceiling is used up finds that on the log.
    {
      what: 'with a node that crashes again and again later',
      with: { crashes: { node: 1, fromMs: 15_000, everyMs: 1_500 } },
      unused: 0.01,
    },
    { what: 'with a node killed in its first moment', with: { kill: { node: 1, atMs: 300 } }, unused: 0.06 },
  ]
  for (const { what, with: options, unused } of rows) {
    test(`${what}: none of it is overspent, and at most ${unused * 100} % stays unused`, () => {
      for (const seed of [1, 2]) {
        const { overshoot, served } = new Cluster({ ...ordinary, ...options, seed }).run()
        assert.ok(overshoot <= 1e-9, `overshoot of ${overshoot * 100} %`)
        assert.ok(overshoot >= -unused, `${-overshoot * 100} % unused after ${served} calls`)
      }
    })
  }
})

describe('a small ceiling, of which no node has much', () => {
  test('is served of again as soon as somebody is in charge again, and nobody has to ask twice', () => {
    for (let seed = 1; seed <= 10; seed++) {
      const options = { rule: rule({ amount: 240 }), nodes: 3, clients: 60, delayMs: [5, 50], most: 1.2, seed } as const
      const { overshoot, resumedMs } = new Cluster({ ...ordinary, ...options, takeover: { atMs: 1_000, forMs: 5_000 } }).run()
      // Up to 50 ms for the grants, and as long until one of twenty comes who were told to come back within half a second.
      assert.ok(resumedMs !== null && resumedMs <= 100, `silent for ${resumedMs} ms more, seed ${seed}`)
      assert.ok(overshoot <= 1e-9 && overshoot >= -0.02, `${overshoot * 100} %`)
    }
  })
})
