import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { startHeart } from '../../bus/heartbeat.ts'
import type { EventBus, OutgoingRecord } from '../../bus/port.ts'
import { epoch } from '../contracts/observations.ts'

test('a role that cannot say how it is goes on, and says it when it can', async () => {
  const said: OutgoingRecord[] = []
  const bus = { publish: async (records: readonly OutgoingRecord[]) => void said.push(...records) } as unknown as EventBus
  let fails = true
  const pulse = () => {
    if (fails) throw new RangeError('no number for it')
    return { ok: true, summary: 'well' }
  }
  const options = { bus, clock: () => epoch, log: pino({ level: 'silent' }), role: 'detect', instance: 'd', version: '1' } as const
  const heart = await startHeart({ ...options, everyMs: 1e9, pulse })
  await heart.beat()
  assert.equal(said.length, 0)
  fails = false
  await heart.beat()
  assert.equal(said.length, 1)
  fails = true
  await heart.close()
})
