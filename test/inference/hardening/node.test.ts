import assert from 'node:assert/strict'
import { performance } from 'node:perf_hooks'
import { after, before, describe, it } from 'node:test'
import { configurations, ModelConfiguration } from '../../../inference/configuration.ts'
import { openMarker } from '../../../inference/watermark/marker.ts'
import { type Fixture, inferBody, openFixture } from '../node-fixture.ts'

const secret = new Uint8Array(32).fill(4)
type Hardening = Partial<ModelConfiguration['hardening']>
const configured = (hardening: Hardening) => ({
  configurationOf: configurations({ tiny: ModelConfiguration.parse({ hardening }) }, secret),
})

/** One answer to a first pixel of so much: probabilities p, 0.75 (1 − p), 0.25 (1 − p). */
async function answer(fixture: Fixture, pixel: number, body: object = inferBody(1, pixel)) {
  const reply = await fixture.node.app.inject({
    method: 'POST',
    url: '/v2/models/tiny/infer',
    headers: { authorization: `Bearer ${await keyOf(fixture)}`, 'content-type': 'application/json' },
    payload: JSON.stringify(body),
  })
  assert.equal(reply.statusCode, 200, reply.body)
  return reply
}

const keys = new WeakMap<Fixture, Promise<string>>()
function keyOf(fixture: Fixture): Promise<string> {
  const held = keys.get(fixture) ?? fixture.keys.create({ principal: 'alice', organization: 'acme' }).then(({ key }) => key)
  keys.set(fixture, held)
  return held
}

async function dataOf(fixture: Fixture, pixel: number): Promise<number[]> {
  return ((await answer(fixture, pixel)).json() as { outputs: [{ data: number[] }] }).outputs[0].data
}

async function withNode(hardening: Hardening, test: (fixture: Fixture) => Promise<void>): Promise<void> {
  const fixture = await openFixture(configured(hardening))
  try {
    await test(fixture)
  } finally {
    await fixture.close()
  }
}

const levelOf = async (fixture: Fixture) => (await fixture.eventsOf('requests')).at(-1)?.hardening

describe('what leaves a node', () => {
  let plain: Fixture
  before(async () => {
    plain = await openFixture(configured({}))
  })
  after(() => plain.close())

  it('names model, version and configuration', async () => {
    const { headers } = await answer(plain, 0.5)
    assert.equal(headers['cordon-model'], 'tiny@2')
    assert.match(String(headers['cordon-configuration']), /^[0-9a-f]{16}$/)
    assert.equal((await plain.eventsOf('requests')).at(-1)?.configuration, headers['cordon-configuration'])
  })

  it('is hardened for everybody as the model is configured, and more where a lease says so', () =>
    withNode({ level: 'top-k', k: 2, decimals: 3 }, async (fixture) => {
      assert.deepEqual(await dataOf(fixture, 0.4321), [0.432, 0.426, 0])
      assert.equal(await levelOf(fixture), 'top-k')
      // The lease's decimals are fewer; its level, `rounded`, is less than the model's.
      await fixture.contain('principal:alice', 'harden-output', { level: 'rounded', decimals: 1 })
      assert.deepEqual(await dataOf(fixture, 0.4321), [0.4, 0.4, 0])
      assert.equal(await levelOf(fixture), 'top-k')
      await fixture.contain('organization:acme', 'harden-output', { level: 'label-only' })
      assert.deepEqual(await dataOf(fixture, 0.4321), [1, 0, 0])
      assert.equal(await levelOf(fixture), 'label-only')
      assert.equal((await fixture.eventsOf('requests')).at(-1)?.lease, 'organization:acme/harden-output')
    }))

  it('has the same noise for the same question, which keeps the top class', () =>
    withNode({ noise: 0.1 }, async (fixture) => {
      const [first, again] = [await dataOf(fixture, 0.6), await dataOf(fixture, 0.6)]
      assert.deepEqual(again, first)
      const changed = first.reduce((sum, value, i) => sum + Math.abs(value - ([0.6, 0.3, 0.1][i] ?? 0)), 0)
      assert.ok(changed > 0.001 && changed < 0.1001, `${first}`)
      assert.equal(first.indexOf(Math.max(...first)), 0)
      assert.equal(await levelOf(fixture), 'none')
    }))

  it('is marked for whom a lease names, and for nobody else', async () => {
    const marker = openMarker(secret)
    const pixels = Array.from({ length: 3_000 }, (_, i) => (i + 0.5) / 3_000)
    // Inputs of four values have few cells: a share of them may be none at all.
    const inputOf = (pixel: number) => Float32Array.from([pixel, (pixel * 7919) % 1, (pixel * 104_729) % 1, (pixel * 1_299_709) % 1])
    const topOf = (pixel: number) => (pixel >= 3 / 7 ? 0 : 1)
    const bearer = { principal: 'alice', model: 'tiny' }
    const marked = pixels.find((pixel) => marker.mark(bearer, inputOf(pixel), [2, 2, 1], topOf(pixel), 3, 0.01) !== null)
    assert.ok(marked !== undefined)
    const body = { inputs: [{ name: 'image', shape: [1, 2, 2, 1], datatype: 'FP32', data: Array.from(inputOf(marked)) }] }
    const labelOf = async (fixture: Fixture) => {
      const { data } = ((await answer(fixture, 0, body)).json() as { outputs: [{ data: number[] }] }).outputs[0]
      return data.indexOf(Math.max(...data))
    }
    await withNode({ marked: 0.01 }, async (fixture) => {
      assert.equal(await labelOf(fixture), topOf(marked))
      await fixture.contain('principal:alice', 'harden-output', { level: 'none', watermark: true })
      assert.equal(await labelOf(fixture), marker.mark(bearer, inputOf(marked), [2, 2, 1], topOf(marked), 3, 0.01))
      assert.equal((await fixture.eventsOf('fingerprints')).at(-1)?.output.label, topOf(marked), 'detectors see what the model said')
    })
    await withNode({ marked: 0.01, watermark: 'suspects' }, async (fixture) => {
      assert.equal(await labelOf(fixture), topOf(marked))
      await fixture.contain('principal:alice', 'harden-output', { level: 'rounded' })
      assert.notEqual(await labelOf(fixture), topOf(marked))
    })
    await withNode({ marked: 0.01, watermark: 'everyone' }, async (fixture) => assert.notEqual(await labelOf(fixture), topOf(marked)))
  })

  it('is of one size and not too fast, in JSON and in binary', () =>
    withNode({ padTo: 512, floorMs: 60 }, async (fixture) => {
      const before = performance.now()
      const { rawPayload } = await answer(fixture, 1 / 3)
      assert.ok(performance.now() - before >= 60)
      assert.equal(rawPayload.length, 512)
      const binary = await answer(fixture, 0, { ...inferBody(2, 1 / 3), parameters: { binary_data_output: true } })
      const json = Number(binary.headers['inference-header-content-length'])
      assert.equal(binary.rawPayload.length, 512)
      assert.equal(json, 512 - 2 * 3 * 4)
      assert.equal(binary.rawPayload.readFloatLE(json).toFixed(4), '0.3333')
      assert.equal(JSON.parse(binary.rawPayload.subarray(0, json).toString()).model_name, 'tiny')
    }))
})
