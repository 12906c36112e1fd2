import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Worker } from 'node:worker_threads'
import { valueOf } from './metric-value.ts'
import { ask, double, row, tensor, type Using, until } from './runtime-ask.ts'

/** Requests that nobody waits for any more, and threads that end. */
export function endings(using: Using, end: (thread: Worker) => void): void {
  deadlines(using)
  leaving(using)
  deaths(using, end)
}

function deadlines(using: Using): void {
  test('what nobody waits for any more does not run', async () => {
    const configurationOf = () => ({ batching: { maxItems: 1, maxWaitMicros: 0 } })
    await using({ configurationOf }, async (runtime) => {
      const asked = Array.from({ length: 20 }, (_, i) => ask(runtime, 'free', row(i), ['twice'], { waitMs: i % 2 === 0 ? 60_000 : -1 }))
      asked[18]?.cancellation.abort()
      const results = await Promise.allSettled(asked.map(({ answer }) => answer))
      const codes = results.map((result) => (result.status === 'rejected' ? result.reason.code : 'answered'))
      assert.deepEqual(
        codes,
        asked.map((_, i) => (i % 2 === 0 && i !== 18 ? 'answered' : 'CANCELLED')),
      )
      assert.equal(runtime.statistics('free', '1')?.executionCount, 9)
      assert.equal(runtime.statistics('free', '1')?.fail.count, 11)
      assert.equal(runtime.depth('a'), 0)
    })
  })
}

/** Nothing but looking takes them away: the batch that would is a minute off. */
function leaving(using: Using): void {
  test('what nobody waits for any more leaves the queue before the next batch', async () => {
    const configurationOf = () => ({ batching: { maxItems: 32, maxWaitMicros: 60_000_000 } })
    await using({ configurationOf }, async (runtime) => {
      const [gone, late] = [ask(runtime, 'free', row(1), ['twice']), ask(runtime, 'free', row(2), ['twice'], { waitMs: 30 })]
      gone.cancellation.abort()
      for (const { answer } of [gone, late]) await assert.rejects(answer, { code: 'CANCELLED' })
      assert.equal(runtime.depth('a'), 0)
      assert.equal(runtime.statistics('free', '1')?.executionCount, 0)
    })
  })
}

function deaths(using: Using, end: (thread: Worker) => void): void {
  test('a thread that ends fails its requests, is away for a while, and comes back with its models', async () => {
    let thread: Worker | undefined
    process.once('worker', (started) => {
      thread = started
    })
    const pools = [
      { name: 'a', models: ['free'] },
      { name: 'b', models: ['pair'] },
    ]
    await using({ pools, backoff: { firstMs: 50, mostMs: 50 } }, async (runtime, registry) => {
      assert.equal(await double(runtime, '2'), 42)
      const waiting = Promise.allSettled([double(runtime, '2'), double(runtime, '1')])
      if (thread !== undefined) end(thread)
      for (const result of await waiting) assert.equal(result.status === 'rejected' && result.reason.code, 'INFERENCE_FAILED')
      assert.deepEqual([runtime.ready('a'), runtime.ready('b'), runtime.depth('a')], [false, true, 0])
      await assert.rejects(double(runtime, '2'), { code: 'POOL_AWAY' })
      await until(async () => runtime.ready('a'))
      assert.equal(await double(runtime, '2'), 42)
      assert.equal(await valueOf(registry, 'cordon_runtime_worker_restarts_total', { pool: 'a' }), 1)
    })
  })

  test('a thread whose batch runs for too long is ended, with what is behind it, and comes back', async () => {
    const pools = [{ name: 'a', models: ['endless', 'free'] }]
    const n = (value: number) => [tensor('n', 'INT32', [1, 1], Int32Array.of(value))]
    await using({ pools, backoff: { firstMs: 10, mostMs: 10 }, maxRunMs: 2_000 }, async (runtime, registry) => {
      assert.deepEqual(await ask(runtime, 'endless', n(0), ['m']).answer, [tensor('m', 'INT32', [1, 1], Int32Array.of(0))])
      const waiting = [ask(runtime, 'endless', n(1), ['m']).answer, double(runtime, '2')]
      for (const result of await Promise.allSettled(waiting))
        assert.equal(result.status === 'rejected' && result.reason.code, 'INFERENCE_FAILED')
      await until(async () => runtime.ready('a'))
      assert.equal(await double(runtime, '2'), 42)
      assert.equal(await valueOf(registry, 'cordon_runtime_worker_restarts_total', { pool: 'a' }), 1)
    })
  })
}
