import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { openView } from '../../bus/view.ts'
import { configurations } from '../../inference/configuration.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openEmitter } from '../../inference/emitter/emitter.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprinter } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { createNode } from '../../inference/server/node.ts'
import { passThrough } from '../../inference/server/tracing.ts'
import { type Containment, type FingerprintEvent, topics } from '../../schemas/index.ts'
import { until } from './memory-bus.ts'
import { noText, silent } from './node-fixture.ts'
import { callersByKey, openTestKeys } from './test-keys.ts'

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))

test('the digits model, its fingerprints and the embedded bus: served, recorded, contained', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-real-'))
  const registry = new Registry()
  const bus = await createEmbeddedBus({ path: join(dir, 'bus') })
  await bus.ensureTopics(Object.values(topics))
  const pools = [{ name: 'a', models: ['digits'], concurrency: 128 }]
  const runtime = await openRuntime({ modelsDir, pools, maxQueueItems: 256, registry, log: silent })
  const emitter = await openEmitter({ bus, dir: join(dir, 'spool'), clock: Date.now, log: silent, registry })
  const keys = await openTestKeys(bus, Date.now)
  const containments = await openView(bus, 'containments')
  const models = await openView(bus, 'models')
  const fingerprinters = new Map<string, Fingerprinter>()
  for (const { name, version } of runtime.list()) {
    const profile = readFileSync(join(modelsDir, name, version, 'profile.bin'))
    fingerprinters.set(`${name}/${version}`, openFingerprinter({ profile, key: new Uint8Array(32).fill(7), epoch: 0 }))
  }
  const fingerprinterOf = (model: string, version: string) => fingerprinters.get(`${model}/${version}`)
  const control = { boundMs: 15_000, lost: 'last-known' } as const
  const rest = { clock: Date.now, registry, log: silent, control, addressKey: new Uint8Array(32), prices: { perItem: 0.0001 } }
  const serving = { text: noText, configurationOf: configurations({}), tracing: passThrough }
  const node = await createNode({
    name: 'node-1',
    pools,
    runtime,
    ...serving,
    fingerprinterOf,
    keys: keys.registry,
    authenticator: callersByKey(keys.registry, registry),
    containments,
    models,
    emitter,
    ...rest,
  })
  try {
    const { key } = await keys.create({ principal: 'alice' })
    const { images, labels } = loadMnist('test')
    const infer = (items: number) =>
      node.app.inject({
        method: 'POST',
        url: '/v2/models/digits/infer',
        headers: { authorization: `Bearer ${key}` },
        payload: {
          inputs: [{ name: 'image', shape: [items, 28, 28, 1], datatype: 'FP32', data: [...images.subarray(0, items * pixels)] }],
        },
      })
    const { outputs } = (await infer(20)).json<{ outputs: [{ data: number[] }] }>()
    const top = Array.from({ length: 20 }, (_, item) => {
      const row = outputs[0].data.slice(item * 10, item * 10 + 10)
      return row.indexOf(Math.max(...row))
    })
    const right = top.filter((label, item) => label === labels[item]).length
    assert.ok(right >= 19, `${right} of 20 right`)
    await emitter.drain()
    const seen: FingerprintEvent[] = []
    for (const { partition } of await bus.partitions('fingerprints')) {
      for await (const batch of bus.read('fingerprints', partition, 0)) {
        for (const { value } of batch) seen.push(JSON.parse(Buffer.from(value ?? []).toString()) as FingerprintEvent)
      }
    }
    assert.deepEqual(
      seen.map(({ output }) => output.label),
      top,
    )
    const lease: Containment = {
      ...{
        id: 'principal:alice/deny-principal',
        target: 'principal:alice',
        action: 'deny-principal',
        parameters: {},
        reason: '',
        owner: 'person:t',
      },
      ...{
        incident: null,
        from: Date.now(),
        until: Date.now() + 60_000,
        state: 'active',
        revision: 0,
        endedAt: null,
        endedBy: null,
        decidedAt: null,
      },
    }
    await bus.publish([encode('containments', newEvent('containment', lease, 'test', Date.now()))])
    await until(() => containments.size === 1)
    assert.equal((await infer(1)).statusCode, 403)
  } finally {
    await node.close()
    await emitter.close()
    await keys.close()
    await Promise.all([containments.close(), models.close(), runtime.close()])
    await bus.close()
    rmSync(dir, { recursive: true })
  }
})
