import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { Registry } from 'prom-client'
import { PoolConfiguration } from '../../inference/configuration.ts'
import { encodeRequest } from '../../inference/oip/codec.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import { openOipUpstream } from '../../inference/upstream/oip.ts'
import { freePort } from '../clickhouse/free-port.ts'
import { until } from '../end-to-end/instance.ts'
import { type Fixture, openFixture, silent } from '../inference/node-fixture.ts'
import { python, root, setUpPython } from './python.ts'

const input = { name: 'x', datatype: 'FP32', shape: [2, 2], data: Float32Array.of(1, -2, 3, 4.5) } as const
const doubled = [2, -4, 6, 9]

describe("PyPI kserve's own server behind the node", () => {
  let server: ChildProcess
  let upstream: TensorRuntime
  let fixture: Fixture
  let url: string
  let key: string
  let address: string
  before(async () => {
    await setUpPython()
    const port = await freePort()
    address = `http://127.0.0.1:${port}`
    server = spawn(python, [`${root}test/clients/kserve_server.py`, String(port)], { stdio: 'ignore' })
    await until(
      'kserve is ready',
      async () => {
        const ready = await fetch(`${address}/v2/health/ready`).catch(() => undefined)
        return ready?.ok === true ? true : undefined
      },
      60_000,
    )
    const pool = PoolConfiguration.parse({ name: 'behind', models: ['twice'], upstream: { protocol: 'oip', endpoints: [address] } })
    const options = { pool, token: null, ca: null, clock: Date.now, log: silent, metrics: new Registry() }
    upstream = await openOipUpstream(options)
    await until('its models are known', async () => (upstream.list().length > 0 ? true : undefined))
    fixture = await openFixture({ pools: [pool], runtime: upstream })
    url = (await fixture.node.start({ host: '127.0.0.1', port: 0 })).url
    key = (await fixture.keys.create({ principal: 'alice' })).key
  })
  after(async () => {
    await fixture.close()
    await upstream.close()
    server.kill('SIGKILL')
  })

  const ask = (body: Uint8Array, headers: Record<string, string>, origin = url) =>
    fetch(`${origin}/v2/models/twice/infer`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, ...headers },
      body: Uint8Array.from(body),
    })
  const json = Buffer.from(JSON.stringify({ id: 'a-1', inputs: [{ ...input, data: [...input.data] }] }))
  const asJson = { 'content-type': 'application/json' }

  test('the same answer as without the node, byte for byte', async () => {
    const [direct, through] = [await ask(json, asJson, address), await ask(json, asJson)]
    assert.equal(direct.status, 200)
    assert.equal(through.status, 200)
    const answer = await through.text()
    assert.equal(answer, await direct.text())
    assert.deepEqual(JSON.parse(answer).outputs[0].data, doubled)
  })

  test('binary tensors go there as they are', async () => {
    const { body, jsonBytes } = encodeRequest({ id: 'a-2', parameters: {}, inputs: [input], outputs: [], binary: false }, () => true)
    const headers = { 'content-type': 'application/octet-stream', 'inference-header-content-length': String(jsonBytes) }
    const answer = await ask(body, headers)
    assert.equal(answer.status, 200, await answer.clone().text())
    assert.deepEqual(JSON.parse(await answer.text()).outputs[0].data, doubled)
  })

  test('each left one event, with the endpoint that answered', async () => {
    const events = await fixture.eventsOf('requests')
    assert.deepEqual(
      events.map(({ outcome, pool, endpoint, items }) => ({ outcome, pool, endpoint, items })),
      [1, 2].map(() => ({ outcome: 'served', pool: 'behind', endpoint: new URL(address).host, items: 2 })),
    )
  })
})
