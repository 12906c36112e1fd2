import assert from 'node:assert/strict'
import { it } from 'node:test'
import { pino } from 'pino'
import { startHeart } from '../../../bus/heartbeat.ts'
import { openView } from '../../../bus/view.ts'
import { forgetInstances } from '../../../pipeline/response/forgetting.ts'
import { until } from '../../bus/until.ts'
import { MemoryBus, MemoryLog } from '../memory-bus.ts'

const hour = 3_600_000

it('forgets who said nothing for a day, where it is in charge, and nobody else', async (t) => {
  const bus = new MemoryBus(new MemoryLog([{ name: 'heartbeats', partitions: 1 }]))
  t.after(() => bus.close())
  const log = pino({ level: 'silent' })
  let now = 1_000 * hour
  const says = async (instance: string) => {
    const pulse = () => ({ ok: true, summary: 'at work' })
    const heart = await startHeart({ bus, clock: () => now, log, role: 'detect', instance, version: 'test', everyMs: hour, pulse })
    await heart.close()
  }
  const heartbeats = await openView(bus, 'heartbeats')
  t.after(() => heartbeats.close())
  let inCharge = false
  const forgetting = forgetInstances({ bus, heartbeats, clock: () => now, log, inCharge: () => inCharge, everyMs: null })
  await says('old')
  now += 20 * hour
  await says('newer')
  now += 5 * hour
  await until('both are known', () => heartbeats.size === 2)
  await forgetting.look()
  assert.equal(heartbeats.size, 2)
  inCharge = true
  await forgetting.look()
  await until('one is forgotten', () => heartbeats.size === 1)
  assert.deepEqual(
    [...heartbeats.values()].map(({ instance, state }) => [instance, state]),
    [['newer', 'stopped']],
  )
})
