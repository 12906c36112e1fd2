import assert from 'node:assert/strict'
import { it } from 'node:test'
import { planRequest } from '../../responders/containment-request.ts'
import { responders } from '../../responders/registry.ts'
import type { Parameters } from '../../schemas/index.ts'

function settingsOf(target: string, action: string, parameters: Parameters): Parameters {
  return planRequest({ target, action, parameters, forMs: 60_000, reason: 'a test', by: 'ann' }, responders, 'f'.repeat(32), 0).parameters
}

it('reads numbers and text as the responder has them, however a command line wrote them', () => {
  for (const requests of [5, '5']) assert.equal(settingsOf('principal:x', 'throttle-principal', { requests })['requests'], 5)
  for (const version of [1, '1']) assert.deepEqual(settingsOf('model:digits', 'rollback-model', { version }), { version: '1' })
  assert.deepEqual(settingsOf('model:digits', 'rollback-model', { version: '1.10' }), { version: '1.10' })
})

it('says what is wrong with a value, not how it was written', () => {
  for (const requests of [0, '0']) {
    assert.throws(() => settingsOf('principal:x', 'throttle-principal', { requests }), { code: 'PARAMETERS_INVALID', message: /Too small/ })
  }
  assert.throws(() => settingsOf('principal:x', 'throttle-principal', { requests: 'many' }), { code: 'PARAMETERS_INVALID' })
  assert.throws(() => settingsOf('model:digits', 'rollback-model', { version: true }), { code: 'PARAMETERS_INVALID' })
})
