import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { Batcher } from '../../inference/runtime/batcher.ts'

/** Doubles each value; one value an item. The batches it saw are in `seen`. */
function doubling(maxItems: number, maxWaitMicros = 0) {
  const seen: number[][] = []
  const run = (input: Float32Array, items: number) => {
    assert.equal(input.length, items)
    seen.push([...input])
    return input.map((value) => value * 2)
  }
  return { seen, batcher: new Batcher({ batching: { maxItems, maxWaitMicros }, inputSize: 1, outputSize: 1, run }) }
}

/** As above, but a batch ends only when `finish` is called. */
function manual(maxItems: number) {
  const seen: number[][] = []
  const finish: ((error?: Error) => void)[] = []
  const run = (input: Float32Array) => {
    seen.push([...input])
    return new Promise<Float32Array>((resolve, reject) => {
      finish.push((error) => (error ? reject(error) : resolve(input.map((value) => value * 2))))
    })
  }
  return { seen, finish, batcher: new Batcher({ batching: { maxItems, maxWaitMicros: 0 }, inputSize: 1, outputSize: 1, run }) }
}

const turn = () => new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)))
const ask = (batcher: Batcher, ...values: number[]) => batcher.infer(Float32Array.from(values), values.length)

test('every request gets its own answers, in batches that are bounded, full and first come first served', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
      fc.integer({ min: 1, max: 8 }),
      async (sizes, max) => {
        const { seen, batcher } = doubling(max)
        let next = 0
        const requests = sizes.map((size) => Array.from({ length: size }, () => next++))
        const answers = await Promise.all(requests.map((values) => ask(batcher, ...values)))
        for (const [i, { output }] of answers.entries()) {
          assert.deepEqual(
            [...output],
            requests[i]?.map((value) => value * 2),
          )
        }
        assert.ok((seen.at(-1)?.length ?? 0) <= max)
        assert.ok(seen.slice(0, -1).every((batch) => batch.length === max))
        assert.deepEqual(seen.flat(), requests.flat())
        await batcher.close()
      },
    ),
    { seed: 7, numRuns: 60 },
  )
})

test('requests that arrive while a batch runs share the next one', async () => {
  const { seen, finish, batcher } = manual(8)
  const one = ask(batcher, 1)
  await turn()
  const later = [ask(batcher, 2), ask(batcher, 3), ask(batcher, 4, 5)]
  await turn()
  assert.deepEqual(seen, [[1]])
  finish[0]?.()
  assert.deepEqual([...(await one).output], [2])
  await turn()
  assert.deepEqual(seen, [[1], [2, 3, 4, 5]])
  finish[1]?.()
  const answers = await Promise.all(later)
  assert.deepEqual(
    answers.map(({ output }) => [...output]),
    [[4], [6], [8, 10]],
  )
  // They waited at least as long as the first batch ran.
  for (const { queueMs } of answers) assert.ok(queueMs > 0)
})

test('with a wait, a batch starts when it is full or when the wait is over', async () => {
  const full = doubling(2, 60_000_000)
  await Promise.all([ask(full.batcher, 1), ask(full.batcher, 2)])
  assert.deepEqual(full.seen, [[1, 2]])

  const waits = doubling(8, 100_000)
  const early = ask(waits.batcher, 1)
  await turn()
  const late = ask(waits.batcher, 2)
  const { queueMs } = await early
  await late
  assert.deepEqual(waits.seen, [[1, 2]])
  assert.ok(queueMs >= 100, `${queueMs} ms`)
})

test('a failing batch fails its own requests, whole, and no other', async () => {
  const { seen, finish, batcher } = manual(2)
  const outOfMemory = (error: { code: string; cause: Error }) =>
    error.code === 'INFERENCE_FAILED' && error.cause.message === 'out of memory'
  const failing = [assert.rejects(ask(batcher, 1), outOfMemory), assert.rejects(ask(batcher, 2, 3, 4), outOfMemory)]
  const fine = ask(batcher, 5)
  await turn()
  finish[0]?.(new Error('out of memory'))
  await Promise.all(failing)
  await turn()
  // What was left of the failed request, 3 and 4, is not run.
  assert.deepEqual(seen, [[1, 2], [5]])
  finish[1]?.()
  assert.deepEqual([...(await fine).output], [10])
})

test('closing answers the batch that runs and rejects what waits', async () => {
  const { finish, batcher } = manual(2)
  const running = ask(batcher, 1, 2)
  await turn()
  const waiting = assert.rejects(ask(batcher, 3), { code: 'CLOSED' })
  const closing = batcher.close()
  await waiting
  finish[0]?.()
  assert.deepEqual([...(await running).output], [2, 4])
  await closing
  await assert.rejects(ask(batcher, 4), { code: 'CLOSED' })
})
