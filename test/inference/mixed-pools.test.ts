import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeRequest } from '../../inference/oip/codec.ts'
import { PooledTensorRuntime, PooledTextRuntime } from '../../inference/pooled.ts'
import type { InferCall, ModelInfo, TextCall, TextRuntime } from '../../inference/port.ts'
import { inferBody, openFixture, TinyRuntime, tinyModel } from './node-fixture.ts'

/** A runtime of one pool. */
class OneRuntime extends TinyRuntime {
  override readonly models: ModelInfo[]
  readonly calls: InferCall[] = []

  constructor(...models: ModelInfo[]) {
    super()
    this.models = models
  }

  override infer(call: InferCall) {
    this.calls.push(call)
    return super.infer(call)
  }
}

function behind(version: string): ModelInfo {
  return { ...tinyModel(version), digest: null }
}

function pool(name: string) {
  return { name, models: ['tiny'], concurrency: 8 }
}

test('a request goes to a pool that has its version, and the newest is the newest of all pools', async (t) => {
  const here = new OneRuntime(tinyModel('10'))
  const there = new OneRuntime(behind('9'))
  const runtime = new PooledTensorRuntime(
    new Map([
      ['here', here],
      ['there', there],
    ]),
  )
  const fixture = await openFixture({ runtime, pools: [pool('here'), pool('there')] })
  t.after(() => fixture.close())
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const headers = { authorization: `Bearer ${key}` }
  const ask = async (path: string) => {
    const asked = { method: 'POST', url: `/v2/models/tiny${path}/infer`, headers, payload: inferBody() } as const
    const { statusCode, body } = await fixture.node.app.inject(asked)
    return [statusCode, JSON.parse(body).model_version]
  }
  for (let i = 0; i < 4; i++) {
    assert.deepEqual(await ask(''), [200, '10'])
    assert.deepEqual(await ask('/versions/9'), [200, '9'])
  }
  const where = (one: OneRuntime) => one.calls.map(({ version, pool }) => `${version} ${pool}`)
  assert.deepEqual(new Set(where(here)), new Set(['10 here']))
  assert.deepEqual(new Set(where(there)), new Set(['9 there']))
  await fixture.contain('pool:there', 'quarantine-pool')
  assert.equal((await ask('/versions/9'))[0], 503)
  assert.equal((await ask('/versions/10'))[0], 200)
  const outcomes = (await fixture.eventsOf('requests')).map(({ outcome }) => outcome)
  assert.deepEqual(outcomes.slice(-2), ['quarantined', 'served'])
})

test('a watched model that runs here and elsewhere is asked for its probabilities in both places', async (t) => {
  const [here, there] = [new OneRuntime(tinyModel('1')), new OneRuntime(behind('1'))]
  const runtime = new PooledTensorRuntime(
    new Map([
      ['here', here],
      ['there', there],
    ]),
  )
  const fixture = await openFixture({ runtime, pools: [pool('here'), pool('there')] })
  t.after(() => fixture.close())
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const headers = { authorization: `Bearer ${key}` }
  // As text only: what is forwarded must ask for the numbers.
  const payload = { ...inferBody(), outputs: [{ name: 'probabilities', parameters: { classification: 1 } }] }
  for (let i = 0; i < 2; i++) {
    const { statusCode } = await fixture.node.app.inject({ method: 'POST', url: '/v2/models/tiny/infer', headers, payload })
    assert.equal(statusCode, 200)
  }
  const [forwarded] = there.calls
  assert.ok(here.calls.length === 1 && forwarded !== undefined)
  assert.deepEqual(
    decodeRequest(forwarded.raw, { maxTensors: 4, maxBytes: 65_536 }).outputs.map(({ name, classes }) => [name, classes]),
    [['probabilities', 0]],
  )
})

test('a name that stands for tensors in one pool and for text in another is asked where it can be', async (t) => {
  const asked: string[] = []
  const info: ModelInfo = { ...behind('1'), operations: ['chat'], inputs: [], outputs: [], labels: [] }
  const generate = async ({ pool }: TextCall) => {
    asked.push(pool)
    const body = (async function* () {
      yield Buffer.from('{"choices":[]}')
    })()
    return { status: 200, contentType: 'application/json', body, endpoint: null, queueMs: 0 }
  }
  const texts: TextRuntime = {
    list: () => [info],
    info: (name, version) => (name === 'tiny' && version === '1' ? info : undefined),
    ...{ depth: () => 0, ready: () => true, generate, close: async () => {} },
  }
  const tensors = new OneRuntime(behind('1'))
  const runtime = new PooledTensorRuntime(new Map([['tensors', tensors]]))
  const text = new PooledTextRuntime(new Map([['texts', texts]]))
  const fixture = await openFixture({ runtime, text, pools: [pool('tensors'), pool('texts')] })
  t.after(() => fixture.close())
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const headers = { authorization: `Bearer ${key}` }
  for (let i = 0; i < 4; i++) {
    const chat = { model: 'tiny', messages: [{ role: 'user', content: 'hello' }] }
    const said = await fixture.node.app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload: chat })
    const inferred = await fixture.node.app.inject({ method: 'POST', url: '/v2/models/tiny/infer', headers, payload: inferBody() })
    assert.deepEqual([said.statusCode, inferred.statusCode], [200, 200])
  }
  assert.deepEqual([new Set(asked), new Set(tensors.calls.map(({ pool }) => pool))], [new Set(['texts']), new Set(['tensors'])])
})
