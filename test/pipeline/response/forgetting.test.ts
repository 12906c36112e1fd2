import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { pino } from 'pino'
import { createEmbeddedBus } from '../../../bus/embedded/bus.ts'
import { startHeart } from '../../../bus/heartbeat.ts'
import { openView } from '../../../bus/view.ts'
import { forgetInstances } from '../../../pipeline/response/forgetting.ts'
import { topics } from '../../../schemas/index.ts'
import { until } from '../../bus/until.ts'

const hour = 3_600_000

it('forgets who said nothing for a day, where it is in charge, and nobody else', async (t) => {
  const path = mkdtempSync(join(tmpdir(), 'cordon-forgetting-'))
  const bus = await createEmbeddedBus({ path })
  t.after(async () => {
    await bus.close()
    rmSync(path, { recursive: true })
  })
  await bus.ensureTopics([topics.heartbeats])
  const log = pino({ level: 'silent' })
  let now = 1_000 * hour
  const says = async (instance: string) => {
    const pulse = () => ({ ok: true, summary: 'at work' })
    const heart = await startHeart({ bus, clock: () => now, log, role: 'detect', instance, version: 'test', everyMs: 60_000, pulse })
    await heart.close()
  }
  const heartbeats = await openView(bus, 'heartbeats')
  let inCharge = false
  const forgetting = forgetInstances({ bus, heartbeats, clock: () => now, log, inCharge: () => inCharge, everyMs: null })
  await says('old')
  // Its clock is four days ahead, or it lies: it would be remembered for as long.
  now += 96 * hour
  await says('ahead')
  now -= 96 * hour
  now += 20 * hour
  await says('newer')
  now += 5 * hour
  await until('all are known', () => heartbeats.size === 3)
  await forgetting.look()
  assert.equal(heartbeats.size, 3)
  inCharge = true
  await forgetting.look()
  await until('two are forgotten', () => heartbeats.size === 1)
  await heartbeats.close()
  assert.deepEqual(
    [...heartbeats.values()].map(({ instance, state }) => [instance, state]),
    [['newer', 'stopped']],
  )
})
