import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { hardenOutput } from '../../responders/harden-output/harden-output.ts'
import { rollbackModel } from '../../responders/rollback-model/rollback-model.ts'
import { rotateKey } from '../../responders/rotate-key/rotate-key.ts'
import { throttlePrincipal } from '../../responders/throttle-principal/throttle-principal.ts'
import { action, FakePorts, minute, start } from './given.ts'

const live = new AbortController().signal

describe('the stronger of two settings', () => {
  const throttles = [
    // 10/60 s = 0.17/s against 1/60 s = 0.017/s
    { held: { requests: 10, windowMs: 60_000 }, asked: { requests: 1, windowMs: 60_000 }, stands: 'asked' },
    { held: { requests: 1, windowMs: 60_000 }, asked: { requests: 10, windowMs: 60_000 }, stands: 'held' },
    // 1/1 s = 1/s against 30/60 s = 0.5/s
    { held: { requests: 1, windowMs: 1_000 }, asked: { requests: 30, windowMs: 60_000 }, stands: 'asked' },
  ] as const
  for (const { held, asked, stands } of throttles) {
    it(`throttle ${held.requests}/${held.windowMs} or ${asked.requests}/${asked.windowMs}: the one ${stands}`, () => {
      assert.deepEqual(throttlePrincipal.strongest(held, asked), stands === 'asked' ? asked : held)
    })
  }

  it('harden: the label alone, and the fewest decimals, whichever came first', () => {
    const rounded = { level: 'rounded', decimals: 0 }
    const label = { level: 'label-only', decimals: 3 }
    assert.deepEqual(hardenOutput.strongest(rounded, label), { level: 'label-only', decimals: 0 })
    assert.deepEqual(hardenOutput.strongest(label, rounded), { level: 'label-only', decimals: 0 })
  })

  it('harden: of everything else the most, and k counts where only k stay', () => {
    const few = { level: 'top-k', decimals: 3, k: 5, noise: 0.02, watermark: true }
    const rounded = { level: 'rounded', decimals: 2, k: 1, padTo: 512, floorMs: 20 }
    const both = { level: 'top-k', decimals: 2, k: 5, noise: 0.02, padTo: 512, floorMs: 20, watermark: true }
    assert.deepEqual(hardenOutput.strongest(few, rounded), both)
    assert.deepEqual(hardenOutput.strongest(rounded, few), both)
    assert.deepEqual(hardenOutput.strongest(few, { level: 'top-k', decimals: 3, k: 2 })['k'], 2)
    assert.equal(hardenOutput.strongest(few, { level: 'unheard of' })['level'], 'label-only')
  })
})

describe('rotate-key', () => {
  it('sets the end of the old key from the plan, and releasing it does not bring the old key back', async () => {
    const ports = new FakePorts()
    const planned = action({ responder: 'rotate-key', parameters: { overlapMs: 10 * minute } })
    await rotateKey.execute(planned, ports, live)
    assert.deepEqual(ports.rotations, [{ principal: 'mallory', oldDiesAt: start + 10 * minute }])
    const outcome = await rotateKey.revert?.(planned, ports, live)
    assert.match(outcome?.note ?? '', /cannot be undone/)
    assert.equal(ports.rotations.length, 1)
  })
})

describe('rollback-model', () => {
  const planned = action({ responder: 'rollback-model', target: 'model:digits', parameters: { version: null } })

  it('leases the last good version', async () => {
    const ports = new FakePorts()
    ports.lastGood = '3'
    await rollbackModel.execute(planned, ports, live)
    assert.deepEqual(ports.revisions[0]?.parameters, { version: '3' })
  })

  it('takes the version it is given', async () => {
    const ports = new FakePorts()
    await rollbackModel.execute({ ...planned, parameters: { version: '2' } }, ports, live)
    assert.deepEqual(ports.revisions[0]?.parameters, { version: '2' })
  })

  it('does nothing where no version before the current one is good', async () => {
    const ports = new FakePorts()
    ports.lastGood = null
    const outcome = await rollbackModel.execute(planned, ports, live)
    assert.equal(outcome.ok, false)
    assert.deepEqual(ports.revisions, [])
  })
})
