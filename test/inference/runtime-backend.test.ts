import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import { pino } from 'pino'
import { openBackend } from '../../inference/runtime/backend.ts'

const log = pino({ level: 'silent' })

function installed(module: string): boolean {
  try {
    createRequire(import.meta.url).resolve(module)
    return true
  } catch {
    return false
  }
}

// A process of its own: tfjs's current backend is global.
test('auto takes the best backend that is there, and an absent one is refused by name', async () => {
  const lines: { msg: string; passed?: { name: string; why: string }[] }[] = []
  const chosen = await openBackend('auto', pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }))
  const passed = lines[0]?.passed ?? []
  if (!installed('@tensorflow/tfjs-node') && !installed('@tensorflow/tfjs-node-gpu')) {
    assert.equal(chosen, 'wasm')
    assert.deepEqual(passed, [
      { name: 'tensorflow-gpu', why: 'not installed' },
      { name: 'tensorflow', why: 'not installed' },
    ])
  }
  for (const { name } of passed) {
    assert.ok(name === 'tensorflow-gpu' || name === 'tensorflow')
    await assert.rejects(openBackend(name, log), { code: 'BACKEND_UNAVAILABLE' })
  }
  assert.equal(await openBackend('wasm', log), 'wasm')
})
