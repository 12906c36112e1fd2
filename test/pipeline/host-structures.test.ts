import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type Entry, KeyedState, newEntry } from '../../pipeline/host/partition/keyed-state.ts'
import { RecentIds } from '../../pipeline/host/partition/recent-ids.ts'
import { TimerHeap } from '../../pipeline/host/partition/timer-heap.ts'

describe('timer heap', () => {
  it('gives the earliest by time, detector and key, whatever was set, moved and taken back', () => {
    const change = fc.record({ at: fc.option(fc.nat({ max: 20 })), entry: fc.nat({ max: 15 }) })
    const property = fc.property(fc.array(change, { maxLength: 200 }), (changes) => {
      const entries = Array.from({ length: 16 }, (_, n) => newEntry(`d${n % 3}`, `k${n}`, null, 0, n))
      const heap = new TimerHeap()
      for (const { at, entry } of changes) {
        heap.set(entries[entry] as Entry, at)
        const waiting = entries.filter(({ wakeAt }) => wakeAt !== null).sort(byTurn)
        assert.equal(heap.size, waiting.length)
        assert.equal(heap.peek(), waiting[0])
      }
    })
    fc.assert(property, { numRuns: 200, seed: 5 })
  })
})

function byTurn(a: Entry, b: Entry): number {
  const [left, right] = [a, b].map(({ wakeAt, detector, key }) => `${String(wakeAt).padStart(3, '0')} ${detector} ${key}`)
  return (left ?? '') < (right ?? '') ? -1 : 1
}

describe('keyed state', () => {
  it('keeps the order of touching', () => {
    const property = fc.property(fc.array(fc.nat({ max: 9 }), { maxLength: 100 }), (touches) => {
      const state = new KeyedState()
      let model: string[] = []
      for (const [at, n] of touches.entries()) {
        const key = `k${n}`
        const entry = state.get(key)
        model = model.filter((other) => other !== key)
        if (entry !== undefined && at % 7 === 6) state.remove(entry)
        else {
          if (entry === undefined) state.add(newEntry('d', key, null, at, at))
          else state.touch(entry, at, at)
          model.push(key)
        }
        assert.deepEqual(
          [...state].map((entry) => entry.key),
          model,
        )
        assert.equal(state.oldest?.key, model[0])
        assert.equal(state.size, model.length)
      }
    })
    fc.assert(property, { numRuns: 200, seed: 6 })
  })
})

describe('recent ids', () => {
  it('knows the last ones, and how recent those are that it forgot', () => {
    const ids = new RecentIds(3)
    const times = [10, 30, 20, 40, 50]
    for (const [n, time] of times.entries()) ids.add(`id-${n}`, time)
    // Left are those at 20, 40 and 50; forgotten those at 10 and 30.
    assert.deepEqual(
      times.map((_, n) => ids.has(`id-${n}`)),
      [false, false, true, true, true],
    )
    assert.deepEqual([ids.forgot(30), ids.forgot(31)], [true, false])
    assert.deepEqual(new RecentIds(3, ids.snapshot()).snapshot(), ids.snapshot())
  })
})
