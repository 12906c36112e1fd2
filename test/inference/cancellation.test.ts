import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { RequestCancellation } from '../../inference/cancellation.ts'

function watched(): RequestCancellation {
  const cancellation = new RequestCancellation(performance.now() + 1_000_000)
  cancellation.watched()
  return cancellation
}

test('whoever listens hears of the end once, in their order, and not who has left', () => {
  const heard: string[] = []
  const cancellation = watched()
  const gone = () => heard.push('gone')
  cancellation.onEnd(() => heard.push('first'))
  cancellation.onEnd(gone)
  cancellation.onEnd(() => heard.push('last'))
  cancellation.offEnd(gone)
  cancellation.look(cancellation.deadline - 1)
  assert.deepEqual(heard, [])
  cancellation.look(cancellation.deadline)
  cancellation.abort()
  assert.deepEqual(heard, ['first', 'last'])
  assert.deepEqual([cancellation.aborted, cancellation.left], [true, false])
})

test('who comes after the end hears of it at once', () => {
  const cancellation = watched()
  cancellation.abort()
  let heard = 0
  cancellation.onEnd(() => heard++)
  assert.equal(heard, 1)
  assert.ok(cancellation.left)
})

test('one that nobody looks at ends by a timer of its own', async () => {
  const cancellation = new RequestCancellation(performance.now() + 5)
  await new Promise<void>((resolve) => cancellation.onEnd(resolve))
  assert.ok(cancellation.aborted)
})
