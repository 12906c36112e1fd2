import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Memory } from '../../detectors/near-duplicate-probing/memory.ts'
import type { Point } from '../../detectors/near-duplicate-probing/point.ts'
import { seeded } from '../attacks/random.ts'

const capacity = 7

function point(n: number, cluster: number): Point {
  const lengths = { residual: 0, reference: 1, parent: 0, step: 0, share: 0 }
  const answer = { label: 0, confidence: 1, margin: 1, doubt: 0, strangeness: 0 }
  return { seq: 0, event: '', at: n, principal: 'a', organization: null, exact: `${n}`, cluster, children: 0, ...lengths, ...answer }
}

test('a point is found by its number for as long as it is remembered, however often it was spared, and never after', () => {
  for (const share of [0, 0.5, 0.9, 1]) {
    const random = seeded(1 + share)
    let memory = new Memory(capacity)
    const kept = new Set<number>()
    for (let n = 1; n <= 400; n++) {
      const vector = Int16Array.from({ length: 96 }, () => random.below(2_000))
      assert.ok(memory.accepts(vector))
      const { added, evicted } = memory.add(point(n, random.next() < share ? 1 : 0), vector, new Uint32Array(8).fill(n))
      kept.add(added.seq)
      if (evicted !== undefined) kept.delete(evicted.seq)
      assert.equal(added.seq, n)
      assert.deepEqual(memory.vector(n), vector)
      const found = Array.from({ length: n + 2 }, (_, seq) => memory.get(seq)).filter((one) => one !== undefined)
      assert.deepEqual(
        found.map(({ seq }) => seq),
        [...kept].sort((a, b) => a - b),
      )
      if (n % 31 === 0) memory = Memory.from(JSON.parse(JSON.stringify(memory)))
    }
  }
})
