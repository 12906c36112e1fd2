import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import type { Instances } from '../../cli/instance/instances.ts'
import { type Observed, openStatus } from '../../cli/instance/status.ts'
import type { InstanceStatus, InstanceView } from '../../console/port.ts'
import { DeadLetter, RoleName, topics } from '../../schemas/index.ts'
import { at, deadLetter, instance } from '../console/ports.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'
import { flow } from './flow.ts'

const read = (standby: boolean, lagMs: number) => ({ topic: 'flows', partition: 0, standby, offset: 0, end: 1, lagMs })
const everyRole = RoleName.options.map((role) => instance({ role, instance: `${role}-1` }))
const instancesOf = (list: readonly InstanceView[], staleMs = 0): Instances => ({
  list: () => list,
  liveNodes: () => [],
  staleMs: () => staleMs,
  close: () => {},
})

async function open(t: TestContext): Promise<Observed & { readonly bus: EventBus }> {
  const bus = await createEmbeddedBus({ path: join(temporaryDataDir(t), 'log') })
  t.after(() => bus.close())
  await bus.ensureTopics(Object.values(topics))
  const store: Observed['store'] = { engine: 'chdb', ping: async () => true }
  return { version: '1', startedAt: at, bus, store, instances: instancesOf(everyRole), clock: () => at, detecting: ['flows'] }
}

const wrong = ({ roles }: InstanceStatus) => roles.filter(({ ok }) => !ok).map(({ role, summary }) => `${role}: ${summary}`)

describe('status', () => {
  it('is well when every role, the bus and the store are', async (t) => {
    const status = await openStatus(await open(t))()
    assert.deepEqual(wrong(status), [])
    assert.equal(status.ready, true)
    assert.deepEqual(status.lag, { sink: 0, detect: 0, respond: 0 })
  })

  it('is not ready, nor well, until every role has spoken', async (t) => {
    const status = await openStatus({ ...(await open(t)), instances: instancesOf(everyRole.slice(1)) })()
    assert.equal(status.ready, false)
    assert.deepEqual(wrong(status), ['node: no process of this role is running'])
  })

  it('counts records behind, the oldest of them, spools, snapshots, and a day of dead letters', async (t) => {
    const observed = await open(t)
    const instances = instancesOf([
      instance({ role: 'detect', instance: 'd1', assignments: [read(false, 300), read(true, 9_000)], snapshotAgeMs: 5_000 }),
      instance({ role: 'detect', instance: 'd2', assignments: [read(false, 800)], snapshotAgeMs: 7_000 }),
      instance({
        role: 'detect',
        instance: 'dead',
        alive: false,
        assignments: [read(false, 60_000)],
        snapshotAgeMs: 99_000,
        spoolBytes: 99,
      }),
      instance({ role: 'node', instance: 'n1', spoolBytes: 40 }),
      instance({ role: 'node', instance: 'n2', spoolBytes: 2 }),
      instance({ role: 'ingest', instance: 'i1', assignments: [read(false, 20)] }),
    ])
    const letter = DeadLetter.parse(deadLetter)
    const letterAt = (time: number) => encode('dead-letters', newEvent('dead-letter', letter, 't', time))
    await observed.bus.publish([letterAt(at - 86_400_001), letterAt(at - 86_400_000), letterAt(at)])
    await observed.bus.publish([1, 2].map((time) => encode('flows', newEvent('flow', flow, 't', time))))
    const status = await openStatus({ ...observed, instances })()
    assert.deepEqual(status.lag, { sink: 5, detect: 2, respond: 0 }, 'the sink stores dead letters too')
    assert.deepEqual(status.lagMs, { sink: 20, detect: 800, respond: 0 })
    assert.deepEqual([status.snapshotAgeMs, status.spoolBytes, status.deadLetters], [7_000, 42, 2])
  })

  it('goes on, and says so, when the bus and the store leave it waiting', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const observed = await open(t)
    let asked = 0
    const bus = Object.create(observed.bus, {
      groups: {
        value: () => {
          asked++
          return new Promise(() => {})
        },
      },
    }) as EventBus
    const status = openStatus({ ...observed, bus, store: { engine: 'server', ping: () => new Promise(() => {}) } })
    for (let round = 0; round < 3; round++) {
      const answer = status()
      t.mock.timers.tick(2_000)
      const { lag, deadLetters } = await answer
      assert.deepEqual(wrong(await answer), ['bus: embedded does not answer: no answer within 2000 ms', 'store: server does not answer'])
      assert.deepEqual([lag, deadLetters], [null, null], 'not known is not none')
    }
    assert.equal(asked, 1, 'one question at a time')
  })

  it('says that a store refuses, and that the bus fails', async (t) => {
    const observed = await open(t)
    const bus = Object.create(observed.bus, { groups: { value: () => Promise.reject(new Error('no brokers')) } }) as EventBus
    const status = openStatus({ ...observed, bus, store: { engine: 'server', ping: async () => false } })
    assert.deepEqual(wrong(await status()), ['bus: embedded does not answer: no brokers', 'store: server does not answer'])
  })

  it('says how old everything may be when nothing is heard any more', async (t) => {
    const observed = await open(t)
    const of = async (staleMs: number) => wrong(await openStatus({ ...observed, instances: instancesOf(everyRole, staleMs) })())
    assert.deepEqual(await of(15_000), [])
    assert.deepEqual(await of(15_001), ['bus: embedded says nothing for 15 s; what you see may be as old'])
    assert.deepEqual(await of(Number.POSITIVE_INFINITY), ['bus: embedded says nothing; what you see may be as old'])
  })
})
