import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { openBackend } from '../../inference/runtime/backend.ts'

function installed(module: string): boolean {
  try {
    createRequire(import.meta.url).resolve(module)
    return true
  } catch {
    return false
  }
}

// A process of its own: tfjs's current backend is global to the thread.
test('auto takes the best backend that is there, and an absent one is refused by name, with what to do', async () => {
  const { name: chosen, passed } = await openBackend('auto')
  if (!installed('@tensorflow/tfjs-node') && !installed('@tensorflow/tfjs-node-gpu') && !installed('webgpu')) {
    assert.equal(chosen, 'wasm')
    assert.deepEqual(passed, [
      { name: 'tensorflow-gpu', why: 'not installed' },
      { name: 'tensorflow', why: 'not installed' },
      { name: 'webgpu', why: 'not installed' },
    ])
  }
  for (const { name, why } of passed) {
    assert.ok(name === 'tensorflow-gpu' || name === 'tensorflow' || name === 'webgpu')
    if (why === 'not installed') await assert.rejects(openBackend(name), { code: 'BACKEND_UNAVAILABLE', message: /npm run setup:/ })
  }
  assert.equal((await openBackend('wasm')).name, 'wasm')
})
