import assert from 'node:assert/strict'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import test from 'node:test'
import { openOipUpstream } from '../../../inference/upstream/oip.ts'
import { inferBody, openFixture, tinyFingerprint } from '../node-fixture.ts'
import { codeOf, inferCall, opening } from './fake-upstream.ts'

/** A node, and a pool before it. */
async function openBefore() {
  const fixture = await openFixture()
  const { key } = await fixture.keys.create({ principal: 'front' })
  const { url } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  const { options } = opening('oip', [url])
  return { fixture, options, runtime: await openOipUpstream({ ...options, token: key }) }
}

test('a pool before another Cordon node: its models, its answers, and its refusals', async (context) => {
  const { fixture, options, runtime } = await openBefore()
  const stranger = await openOipUpstream({ ...options, token: 'wrong', pool: { ...options.pool, name: 'stranger' } })
  context.after(async () => {
    await runtime.close()
    await stranger.close()
    await fixture.close()
  })

  assert.deepEqual(
    runtime.list().map(({ name, version, inputs }) => [name, version, inputs[0]?.shape]),
    [
      ['tiny', '1', [-1, 2, 2, 1]],
      ['tiny', '2', [-1, 2, 2, 1]],
    ],
  )
  const raw = { body: Buffer.from(JSON.stringify(inferBody(1, 0.25))), jsonBytes: null }
  const inference = await runtime.infer(inferCall({ version: '1', outputs: ['probabilities'], raw }))
  assert.deepEqual(inference.tensors()[0]?.data, new Float32Array([0.25, 0.5625, 0.1875]))
  assert.deepEqual(
    fixture.runtime.ran.map(({ version }) => version),
    ['1'],
  )

  const bad = { body: Buffer.from(JSON.stringify(inferBody(1, 7))), jsonBytes: null }
  await assert.rejects(runtime.infer(inferCall({ raw: bad })), { code: 'UPSTREAM_REFUSED', message: /inputs\[0\]/ })
  assert.equal(await codeOf(stranger.infer(inferCall({ pool: 'stranger', raw }))), 'UPSTREAM_FAILED')
})

test('an input is looked at once it is on its way to the model', async (context) => {
  const { fixture: behind, options, runtime } = await openBefore()
  const steps: string[] = []
  const fixture = await openFixture({
    runtime,
    pools: [{ name: options.pool.name, models: ['tiny'], concurrency: 8 }],
    fingerprinterOf: () => ({
      fingerprint: tinyFingerprint,
      begin: (input) => {
        steps.push('looked')
        return (output) => tinyFingerprint(input, output)
      },
    }),
  })
  const sent = (message: unknown) => {
    if ((message as { readonly request: { readonly method: string } }).request.method === 'POST') steps.push('sent')
  }
  subscribe('undici:client:sendHeaders', sent)
  context.after(async () => {
    unsubscribe('undici:client:sendHeaders', sent)
    await fixture.close()
    await runtime.close()
    await behind.close()
  })

  const { key } = await fixture.keys.create({ principal: 'alice' })
  const asked = { method: 'POST', url: '/v2/models/tiny/infer', headers: { authorization: `Bearer ${key}` }, payload: inferBody() } as const
  const orders: string[] = []
  for (let i = 0; i < 3; i++) {
    assert.equal((await fixture.node.app.inject(asked)).statusCode, 200)
    orders.push(steps.splice(0).join())
  }
  // The first may have to wait for a connection, which takes longer than a turn.
  assert.deepEqual(orders.slice(1), ['sent,looked', 'sent,looked'])
  assert.equal((await fixture.eventsOf('fingerprints')).length, 3)
})
