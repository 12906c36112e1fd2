import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { InferenceError } from '../../inference/errors.ts'
import { type Batch, Batcher, reject, settle } from '../../inference/runtime/batcher.ts'

const never = () => false

/** A request of one value an item; `row` makes it several, which is a free dimension. */
function asked(values: readonly number[], { row = 1, cancelled = never } = {}) {
  const items = values.length / row
  return { inputs: [{ data: Float32Array.from(values), shape: [items, row] }], items, outputs: [0], cancelled }
}

/** The values of a batch, in its order. */
function valuesOf({ parts }: Batch): number[] {
  return parts.flatMap(({ pending, from, items }) => {
    const [block] = pending.inputs
    const row = block?.shape[1] ?? 1
    return [...(block?.data ?? [])].slice(from * row, (from + items) * row).map(Number)
  })
}

/** Answers a batch with the doubles, as a model would. */
function double(batch: Batch, times = { startedAt: 0, runMs: 1 }): void {
  const data = Float32Array.from(valuesOf(batch), (value) => value * 2)
  settle(batch, [{ data, shape: [batch.items, data.length / batch.items] }], times)
}

const answered = (batched: { outputs: readonly { data: ArrayLike<unknown> }[] }) => Array.from(batched.outputs[0]?.data ?? [])

test('every request gets its own answers, in batches that are bounded, full and first come first served', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      async (sizes, maxItems) => {
        const batcher = new Batcher({ maxItems, maxWaitMicros: 0 }, false)
        let next = 0
        const requests = sizes.map((size) => Array.from({ length: size }, () => next++))
        const answers = requests.map((values) => batcher.add(asked(values), 0))
        const seen: number[][] = []
        for (let batch = batcher.take(); batch; batch = batcher.take()) {
          seen.push(valuesOf(batch))
          double(batch)
        }
        assert.deepEqual(
          (await Promise.all(answers)).map(answered),
          requests.map((values) => values.map((value) => value * 2)),
        )
        assert.ok(seen.slice(0, -1).every((batch) => batch.length === maxItems))
        assert.ok((seen.at(-1)?.length ?? 0) <= maxItems)
        assert.deepEqual(seen.flat(), requests.flat())
      },
    ),
    { seed: 7, numRuns: 100 },
  )
})

test('a batch starts when it is full or when the wait of the first is over, by the microsecond', () => {
  const batcher = new Batcher({ maxItems: 3, maxWaitMicros: 500 }, false)
  assert.equal(batcher.since, Number.POSITIVE_INFINITY)
  void batcher.add(asked([1]), 10)
  void batcher.add(asked([2]), 10.4)
  assert.equal(batcher.waitMs(10), 0.5)
  assert.ok(Math.abs(batcher.waitMs(10.3) - 0.2) < 1e-9)
  assert.equal(batcher.waitMs(10.5), 0)
  void batcher.add(asked([3]), 10.4)
  assert.deepEqual([batcher.full(), batcher.waitMs(10.4)], [true, 0])
})

test('times: waiting ends when the first batch starts, and computing is that of all batches', async () => {
  const batcher = new Batcher({ maxItems: 2, maxWaitMicros: 0 }, false)
  const answer = batcher.add(asked([1, 2, 3]), 100)
  const [first, second] = [batcher.take(), batcher.take()]
  assert.ok(first && second)
  double(first, { startedAt: 107, runMs: 4 })
  double(second, { startedAt: 111, runMs: 3 })
  const { queueMs, computeMs } = await answer
  assert.deepEqual([queueMs, computeMs], [7, 7])
})

test('requests whose free dimensions differ do not share a batch, and keep their order', async () => {
  const batcher = new Batcher({ maxItems: 8, maxWaitMicros: 0 }, true)
  const answers = [batcher.add(asked([1]), 0), batcher.add(asked([2, 3], { row: 2 }), 0), batcher.add(asked([4]), 0)]
  const batches = [batcher.take(), batcher.take()].filter((batch) => batch !== null)
  assert.deepEqual(batches.map(valuesOf), [
    [1, 4],
    [2, 3],
  ])
  for (const batch of batches) double(batch)
  assert.deepEqual((await Promise.all(answers)).map(answered), [[2], [4, 6], [8]])
})

test('what nobody waits for any more is dropped before it runs, also the rest of what had begun', async () => {
  const batcher = new Batcher({ maxItems: 2, maxWaitMicros: 0 }, false)
  let gone = false
  const leaving = batcher.add(asked([1, 2, 3, 4], { cancelled: () => gone }), 0)
  const staying = batcher.add(asked([5]), 0)
  const first = batcher.take()
  assert.ok(first)
  gone = true
  const second = batcher.take()
  assert.ok(second)
  assert.deepEqual(valuesOf(second), [5])
  double(first)
  double(second)
  await assert.rejects(leaving, { code: 'CANCELLED' })
  assert.deepEqual(answered(await staying), [10])
  const none = batcher.add(asked([6], { cancelled: () => true }), 0)
  assert.equal(batcher.take(), null)
  await assert.rejects(none, { code: 'CANCELLED' })
})

test('a failing batch fails its own requests, whole, and no other', async () => {
  const batcher = new Batcher({ maxItems: 2, maxWaitMicros: 0 }, false)
  const failing = [batcher.add(asked([1]), 0), batcher.add(asked([2, 3, 4]), 0)]
  const fine = batcher.add(asked([5]), 0)
  const first = batcher.take()
  assert.ok(first)
  reject(first, new InferenceError('INFERENCE_FAILED', 'out of memory'))
  for (const answer of failing) await assert.rejects(answer, { code: 'INFERENCE_FAILED', message: 'out of memory' })
  // What was left of the failed request, 3 and 4, is not run.
  const second = batcher.take()
  assert.ok(second)
  assert.deepEqual(valuesOf(second), [5])
  double(second)
  assert.deepEqual(answered(await fine), [10])
})

test('answers of different shapes cannot be one answer', async () => {
  const batcher = new Batcher({ maxItems: 1, maxWaitMicros: 0 }, false)
  const answer = batcher.add(asked([1, 2]), 0)
  for (const width of [3, 4]) {
    const batch = batcher.take()
    assert.ok(batch)
    settle(batch, [{ data: new Float32Array(width), shape: [1, width] }], { startedAt: 0, runMs: 1 })
  }
  await assert.rejects(answer, { code: 'INFERENCE_FAILED' })
})

test('a request that is a batch of its own gets the arrays of the model, without a copy', async () => {
  const batcher = new Batcher({ maxItems: 2, maxWaitMicros: 0 }, false)
  const answer = batcher.add(asked([1, 2]), 0)
  const batch = batcher.take()
  assert.ok(batch)
  const data = Float32Array.of(2, 4)
  settle(batch, [{ data, shape: [2, 1] }], { startedAt: 0, runMs: 1 })
  assert.equal((await answer).outputs[0]?.data, data)
})

test('clearing rejects all that wait', async () => {
  const batcher = new Batcher({ maxItems: 2, maxWaitMicros: 0 }, false)
  const answers = [batcher.add(asked([1]), 0), batcher.add(asked([2]), 0)]
  batcher.clear(new InferenceError('CLOSED', 'The model runtime is closed'))
  for (const answer of answers) await assert.rejects(answer, { code: 'CLOSED' })
  assert.ok(batcher.empty)
})
