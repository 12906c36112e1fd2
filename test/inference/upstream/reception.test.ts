import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { type TestContext, test } from 'node:test'
import { DeadlineWatch } from '../../../inference/deadline-watch.ts'
import { GivenUp, Reception } from '../../../inference/upstream/reception.ts'

const patience = { connectMs: 1_000_000, firstByteMs: 2_000_000, idleMs: 3_000_000 }
const json = { 'content-type': 'application/json' }

/** A reception without a network: what undici would call is called by hand, and time stands still but for `passes`. */
function receive({ mock }: TestContext) {
  let now = 0
  mock.method(performance, 'now', () => now)
  const passes = (ms: number) => {
    now += ms
    watch.lookAt(now)
  }
  const watch = new DeadlineWatch()
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
  return { watch, reception, controller, calls, ends, passes }
}

test('each step has its own patience, and what is over is looked at no more', (context) => {
  const unconnected = receive(context)
  unconnected.passes(999_999)
  assert.deepEqual(unconnected.ends, [])
  unconnected.passes(1)
  assert.deepEqual([unconnected.ends, unconnected.watch.size], [['unconnected'], 0])

  const silent = receive(context)
  silent.passes(900_000)
  silent.reception.onRequestStart(silent.controller)
  silent.passes(1_999_999)
  assert.deepEqual(silent.ends, [])
  silent.passes(1)
  assert.deepEqual([silent.ends, silent.watch.size, silent.calls.aborted], [['late'], 0, 1])

  const whole = receive(context)
  whole.reception.onRequestStart(whole.controller)
  whole.passes(1_900_000)
  whole.reception.onResponseStart(whole.controller, 200, json)
  whole.passes(2_999_999)
  whole.reception.onResponseData(whole.controller, new Uint8Array(1))
  whole.passes(2_999_999)
  whole.reception.onResponseEnd()
  assert.deepEqual([whole.ends, whole.watch.size], [[undefined], 0])
})

test('a pause is given up, but not one that a slow reader makes', async (context) => {
  const { reception, controller, calls, ends, passes } = receive(context)
  reception.onRequestStart(controller)
  reception.onResponseStart(controller, 200, json)
  reception.onResponseData(controller, new Uint8Array(300_000))
  assert.ok(calls.paused)
  passes(9_000_000)
  assert.deepEqual(ends, [])
  await reception.next()
  assert.ok(!calls.paused)
  passes(2_999_999)
  assert.deepEqual(ends, [])
  passes(1)
  assert.deepEqual(ends, ['late'])
})
