import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Registry } from 'prom-client'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { TensorRuntime } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { type Fixture, openFixture, silent } from '../inference/node-fixture.ts'
import { runPython, setUpPython } from './python.ts'

const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const items = 20

let fixture: Fixture
let runtime: TensorRuntime
let dir: string
let environment: Record<string, string>

before(async () => {
  await setUpPython()
  dir = mkdtempSync(join(tmpdir(), 'cordon-clients-'))
  const pools = [{ name: 'a', models: ['digits'], concurrency: 128 }]
  runtime = await openRuntime({ modelsDir, pools, maxQueueItems: 1_024, registry: new Registry(), log: silent })
  const profile = readFileSync(join(modelsDir, 'digits', '2', 'profile.bin'))
  const fingerprinter = openFingerprinter({ profile, key: new Uint8Array(32).fill(7), epoch: 0 })
  fixture = await openFixture({ pools, runtime, fingerprinterOf: (_model, version) => (version === '2' ? fingerprinter : undefined) })
  const { url } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  const { images, labels } = loadMnist('test')
  writeFileSync(join(dir, 'images'), Float32Array.from(images.subarray(0, items * pixels)))
  const alice = await fixture.keys.create({ principal: 'alice' })
  const mallory = await fixture.keys.create({ principal: 'mallory' })
  // A throttle begins empty, and the node's clock stands: nothing comes back.
  await fixture.contain('principal:mallory', 'throttle-principal', { requests: 1, windowMs: 60_000 })
  environment = {
    CORDON_URL: url,
    CORDON_KEY: alice.key,
    THROTTLED_KEY: mallory.key,
    IMAGES: join(dir, 'images'),
    LABELS: [...labels.subarray(0, items)].join(','),
  }
})

after(async () => {
  await fixture.close()
  await runtime.close()
  rmSync(dir, { recursive: true })
})

test('PyPI tritonclient: binary and JSON, compressed, classification, statistics, configuration, refusals', async () => {
  assert.match(await runPython('triton.py', environment), /all well/)
})

test('PyPI kserve: binary and JSON', async () => {
  assert.match(await runPython('kserve_client.py', environment), /all well/)
})

test('every input of both left its fingerprint, and outcomes are what the clients saw', async () => {
  const requests = await fixture.eventsOf('requests')
  const served = requests.filter(({ outcome, version, items }) => outcome === 'served' && version === '2' && items > 0)
  const inputs = served.reduce((sum, event) => sum + event.items, 0)
  // 40 requests of 20 inputs by tritonclient, 8 by kserve.
  assert.ok(inputs >= 48 * items)
  assert.equal((await fixture.eventsOf('fingerprints')).length, inputs)
  assert.deepEqual(
    requests.filter(({ principal }) => principal === 'mallory').map(({ outcome }) => outcome),
    ['throttled'],
  )
})
