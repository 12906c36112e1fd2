import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { pino } from 'pino'
import type { HostContext } from '../../pipeline/host/context.ts'
import type { Applier } from '../../pipeline/host/lane/applier.ts'
import { Shadow } from '../../pipeline/host/standby/shadow.ts'
import { epoch } from '../contracts/observations.ts'

test('a shadow that cannot apply a record begins again, and ends nothing else', async () => {
  const work = {
    topic: 'requests',
    partition: 0,
    end: 0,
    host: { next: 0 },
    debts: new Map(),
    heard: () => {},
    apply: () => {
      throw new RangeError('a mistake in the host')
    },
  } as unknown as Applier
  const context = { clock: () => epoch, log: pino({ level: 'silent' }) } as unknown as HostContext
  const shadow = new Shadow({ topic: 'requests', partition: 0 }, work, context)
  shadow.offer([{ topic: 'requests', partition: 0, offset: 0, key: null, value: null, headers: {}, timestamp: epoch }])
  await nextTurn()
  assert.equal(await shadow.stop(), null)
  assert.equal(shadow.phase, 'idle')
})
