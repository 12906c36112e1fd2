import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it, type TestContext } from 'node:test'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { beginTerm, underTerm } from '../../bus/fence.ts'
import type { OutgoingRecord } from '../../bus/port.ts'
import { tailActions } from '../../cli/instance/recent-actions.ts'
import { type Action, topics } from '../../schemas/index.ts'
import { action, at } from '../console/ports.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

const record = (change: Partial<Action> & Pick<Action, 'id'>) => encode('actions', newEvent('action', action(change), 't', at))
const id = (n: number) => String(n).padStart(32, '0')

/** The actions that a process which begins now would show. */
async function shown(t: TestContext, records: readonly OutgoingRecord[], kept?: number): Promise<readonly Action[]> {
  const bus = await createEmbeddedBus({ path: join(temporaryDataDir(t), 'log') })
  await bus.ensureTopics(Object.values(topics))
  await bus.publish(records)
  const actions = await tailActions(bus, (error) => assert.fail(String(error)), kept)
  t.after(async () => {
    await actions.close()
    await bus.close()
  })
  return actions.list()
}

describe('recent actions', () => {
  it('stand as they were said last, the latest change last', async (t) => {
    const list = await shown(t, [
      record({ id: id(1), state: 'awaiting-approval' }),
      record({ id: id(2) }),
      record({ id: id(1), state: 'executed' }),
    ])
    assert.deepEqual(
      list.map((a) => [a.id, a.state]),
      [
        [id(2), 'executed'],
        [id(1), 'executed'],
      ],
    )
  })

  it('do not stand on the word of a writer that was replaced', async (t) => {
    const term = { role: 'respond', holder: 'b', number: 9, at }
    const list = await shown(t, [
      underTerm(record({ id: id(1), state: 'awaiting-approval' }), 4),
      beginTerm('actions', term, 'b'),
      underTerm(record({ id: id(1), state: 'failed' }), 4),
      underTerm(record({ id: id(2), state: 'failed' }), 4),
      underTerm(record({ id: id(3) }), 9),
    ])
    assert.deepEqual(
      list.map((a) => [a.id, a.state]),
      [
        [id(1), 'awaiting-approval'],
        [id(3), 'executed'],
      ],
    )
  })

  it('are bounded, and those that wait for a person are given up last', async (t) => {
    const waiting = [1, 2].map((n) => record({ id: id(n), state: 'awaiting-approval' }))
    const list = await shown(t, [...waiting, ...[3, 4, 5].map((n) => record({ id: id(n) }))], 3)
    assert.deepEqual(
      list.map((a) => a.id),
      [id(1), id(2), id(5)],
    )
    const all = await shown(
      t,
      [1, 2, 3, 4].map((n) => record({ id: id(n), state: 'awaiting-approval' })),
      3,
    )
    assert.deepEqual(
      all.map((a) => a.id),
      [id(2), id(3), id(4)],
    )
  })
})
