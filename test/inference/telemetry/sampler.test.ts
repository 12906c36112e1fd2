import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sampler } from '../../../inference/telemetry/sampler.ts'

/** Draws 0, 0.1, … 0.9 and again. */
function openSampler(ratio: number) {
  const clock = { now: 1_000 }
  let drawn = 0
  let refused = 0
  const draw = () => (drawn++ % 10) / 10
  const sampler = new Sampler({ ratio, clock: () => clock.now, draw, refused: () => refused++ })
  const admitted = (flag: boolean | undefined, requests: number) =>
    Array.from({ length: requests }, () => sampler.admits(flag)).filter(Boolean).length
  return { clock, admitted, refused: () => refused }
}

test('without a trace of the client the share decides', () => {
  assert.equal(openSampler(0.3).admitted(undefined, 100), 30)
  assert.equal(openSampler(0).admitted(undefined, 100), 0)
  assert.equal(openSampler(1).admitted(undefined, 100), 100)
})

test('a client that does not want its trace is left out', () => {
  assert.equal(openSampler(1).admitted(false, 100), 0)
})

test('a client that wants its trace is heard fifty times a second beyond the share, and then counted', () => {
  const { clock, admitted, refused } = openSampler(0.3)
  // 30 of 100 by the share, 50 of the other 70 by the allowance.
  assert.equal(admitted(true, 100), 80)
  assert.equal(refused(), 20)
  assert.equal(admitted(true, 100), 30)
  clock.now += 1_000
  assert.equal(admitted(true, 100), 80)
})
