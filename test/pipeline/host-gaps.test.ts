import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { LagWatch } from '../../pipeline/host/lane/lag-watch.ts'
import { stateUnseen, type Unseen } from '../../pipeline/host/lane/unseen.ts'

const place = { topic: 'requests', partition: 1, partitions: 4 }

function bounds(gaps: readonly Unseen[]): [number, number, number | null][] {
  return gaps.map(({ firstOffset, lastOffset, worstMs }) => [firstOffset, lastOffset, worstMs])
}

describe('lag watch', () => {
  it('joins consecutive late records, and states them when one is in time', () => {
    const lag = new LagWatch(10)
    // Appended at 0, 1, 2, 3; the objective is 10 ms, so 11 ms is late and 10 ms is not.
    lag.note(5, 0, 10)
    assert.equal(lag.bound, Number.POSITIVE_INFINITY)
    lag.note(6, 1, 12)
    lag.note(7, 2, 33)
    assert.deepEqual(bounds(lag.take(33, false)), [])
    assert.equal(lag.bound, 6)
    lag.note(8, 30, 33)
    assert.deepEqual(bounds(lag.take(33, false)), [[6, 7, 31]])
    assert.equal(lag.bound, Number.POSITIVE_INFINITY)
    assert.deepEqual(lag.take(34, true), [])
  })

  it('states one that goes on every 10 s, from its beginning, and what is stated may be committed', () => {
    const lag = new LagWatch(10)
    lag.note(0, 0, 100)
    assert.deepEqual(bounds(lag.take(100, true)), [[0, 0, 100]])
    lag.note(1, 0, 200)
    assert.equal(lag.bound, 1)
    assert.deepEqual(lag.take(10_099, false), [])
    assert.deepEqual(bounds(lag.take(10_100, false)), [[0, 1, 200]])
    assert.equal(lag.bound, Number.POSITIVE_INFINITY)
  })

  it('forgets what was for someone else to state', () => {
    const lag = new LagWatch(10)
    lag.note(0, 0, 100)
    lag.note(1, 90, 100)
    for (let offset = 2; offset < 6; offset++) lag.note(offset, 0, 100)
    lag.forget(4)
    assert.deepEqual(bounds(lag.take(100, true)), [[4, 5, 100]])
  })

  it('keeps no more than 64 gaps', () => {
    const lag = new LagWatch(10)
    for (let offset = 0; offset < 1_000; offset++) lag.note(offset, 0, offset % 2 === 0 ? 100 : 0)
    const stated = lag.take(100, true)
    assert.equal(stated.length, 64)
    assert.deepEqual([stated[0]?.firstOffset, stated.at(-1)?.lastOffset], [0, 998])
  })
})

describe('a gap that the shell states', () => {
  const gap: Unseen = { kind: 'retention', firstOffset: 10, lastOffset: 19, from: 100, until: 200, worstMs: null }

  it('has an id by where it begins, and the longer account counts', () => {
    const short = stateUnseen(place, { ...gap, lastOffset: 14 })
    const long = stateUnseen(place, gap)
    assert.equal(short.id, long.id)
    assert.ok(short.revision < long.revision)
    assert.notEqual(stateUnseen(place, { ...gap, firstOffset: 11 }).id, long.id)
    assert.notEqual(stateUnseen({ ...place, partition: 2 }, gap).id, long.id)
  })

  it('says where, how much and when', () => {
    const { evidence, window, confidence } = stateUnseen(place, gap)
    const { kind, topic, partition, partitions, firstOffset, lastOffset, count } = evidence
    assert.deepEqual([kind, topic, partition, partitions, firstOffset, lastOffset, count], ['retention', 'requests', 1, 4, 10, 19, 10])
    assert.deepEqual([window, confidence], [{ from: 100, until: 200 }, 0])
  })
})
