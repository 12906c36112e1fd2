import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { DeadlineWatch, type Timed } from '../../inference/deadline-watch.ts'

interface Noted extends Timed {
  looks: number
}

function noted(onLook: () => void = () => {}): Noted {
  const one = { place: -1, looks: 0, look: () => void (one.looks++, onLook()) }
  return one
}

test('whoever was added and not deleted is looked at once, however they came and went', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.nat(7)), { maxLength: 60 })
  fc.assert(
    fc.property(steps, (steps) => {
      const watch = new DeadlineWatch()
      const all = Array.from({ length: 8 }, () => noted())
      const there = new Set<Timed>()
      for (const [comes, at] of steps) {
        const one = all[at] as Noted
        if (comes) watch.add(one)
        else watch.delete(one)
        if (comes) there.add(one)
        else there.delete(one)
      }
      watch.lookAt(0)
      assert.equal(watch.size, there.size)
      assert.deepEqual(
        all.map(({ looks }) => looks),
        all.map((one) => Number(there.has(one))),
      )
      for (const one of all) watch.delete(one)
    }),
    { seed: 1, numRuns: 300 },
  )
})

test('who leaves while it is looked at hides nobody', () => {
  const watch = new DeadlineWatch()
  const all: Noted[] = Array.from({ length: 5 }, (_, at) => noted(() => at % 2 === 0 && watch.delete(all[at] as Noted)))
  for (const one of all) watch.add(one)
  watch.lookAt(0)
  assert.deepEqual([all.map(({ looks }) => looks), watch.size], [[1, 1, 1, 1, 1], 2])
  for (const one of all) watch.delete(one)
})

test('one of another watch is left alone', () => {
  const [mine, other] = [new DeadlineWatch(), new DeadlineWatch()]
  const one = noted()
  const two = noted()
  mine.add(one)
  other.add(two)
  mine.delete(two)
  assert.deepEqual([mine.size, other.size], [1, 1])
  mine.delete(one)
  other.delete(two)
})
