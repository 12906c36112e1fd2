import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { test } from 'node:test'
import { Watch } from '../../../inference/server/watch.ts'
import { GivenUp, Reception } from '../../../inference/upstream/reception.ts'

const patience = { connectMs: 1_000_000, firstByteMs: 2_000_000, idleMs: 3_000_000 }
const json = { 'content-type': 'application/json' }

/** A reception without a network: what undici would call is called by hand, and the time is what the watch is told. */
function receive() {
  const watch = new Watch()
  const ends: (string | undefined)[] = []
  const reception = new Reception(patience, watch, (error) => ends.push(error instanceof GivenUp ? error.reason : error?.message))
  reception.head.catch(() => {})
  const calls = { paused: false, aborted: 0 }
  const controller = {
    ...{ paused: false, aborted: false, reason: null, rawHeaders: null, rawTrailers: null },
    abort: () => void calls.aborted++,
    pause: () => {
      calls.paused = true
    },
    resume: () => {
      calls.paused = false
    },
  }
  return { watch, reception, controller, calls, ends, lookIn: (ms: number) => watch.lookAt(performance.now() + ms) }
}

test('each step has its own patience, and one that is over is looked at no more', async () => {
  const unconnected = receive()
  unconnected.lookIn(999_000)
  assert.deepEqual(unconnected.ends, [])
  unconnected.lookIn(1_000_001)
  assert.deepEqual([unconnected.ends, unconnected.watch.size], [['unconnected'], 0])

  const silent = receive()
  silent.reception.onRequestStart(silent.controller)
  silent.lookIn(1_999_000)
  assert.deepEqual(silent.ends, [])
  silent.lookIn(2_000_001)
  assert.deepEqual([silent.ends, silent.watch.size, silent.calls.aborted], [['late'], 0, 1])

  const whole = receive()
  whole.reception.onRequestStart(whole.controller)
  whole.reception.onResponseStart(whole.controller, 200, json)
  whole.lookIn(2_999_000)
  whole.reception.onResponseEnd()
  assert.deepEqual([whole.ends, whole.watch.size], [[undefined], 0])
})

test('a pause is given up, but not one that a slow reader makes', async () => {
  const { reception, controller, calls, ends, lookIn } = receive()
  reception.onRequestStart(controller)
  reception.onResponseStart(controller, 200, json)
  reception.onResponseData(controller, new Uint8Array(300_000))
  assert.ok(calls.paused)
  lookIn(9_000_000)
  assert.deepEqual(ends, [])
  await reception.next()
  assert.ok(!calls.paused)
  lookIn(2_999_000)
  assert.deepEqual(ends, [])
  lookIn(3_000_001)
  assert.deepEqual(ends, ['late'])
})
