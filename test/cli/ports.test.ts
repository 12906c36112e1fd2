import assert from 'node:assert/strict'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { openView } from '../../bus/view.ts'
import { watchContainments } from '../../cli/instance/containment-views.ts'
import { consolePorts } from '../../cli/instance/ports.ts'
import { tailFindings } from '../../cli/instance/recent.ts'
import { tailActions } from '../../cli/instance/recent-actions.ts'
import type { ConsolePorts } from '../../console/port.ts'
import { type Command, Containment, CordonError, Key, type Model, type Order, type Share, topics } from '../../schemas/index.ts'
import { action, at, containment, deadLetter, model as served } from '../console/ports.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'

const until = at + 600_000
const lease = Containment.parse(containment(until))
const waiting = action({ id: 'e'.repeat(32), state: 'awaiting-approval' })
const unused = () => assert.fail('not asked for here')

/** Ports over a log on which `carryOut` stands for the control plane: what it returns comes back as what the order made. */
async function open(
  t: TestContext,
  carryOut: (order: Order, publish: (record: ReturnType<typeof encode>) => Promise<void>) => Promise<unknown>,
) {
  const bus = await createEmbeddedBus({ path: join(temporaryDataDir(t), 'log') })
  await bus.ensureTopics(Object.values(topics))
  await bus.publish([encode('actions', newEvent('action', waiting, 't', at))])
  const onError = (error: unknown) => assert.fail(String(error))
  const leases = await openView(bus, 'containments')
  const incidents = await openView(bus, 'incidents')
  const keys = await openView(bus, 'keys')
  const models = await openView(bus, 'models')
  const findings = await tailFindings(bus, onError)
  const actions = await tailActions(bus, onError)
  const containments = await watchContainments({ bus, leases, liveNodes: () => ['node-1'], clock: () => at, onError })
  const ordered: Pick<Command, 'order' | 'by'>[] = []
  const publish = async (record: ReturnType<typeof encode>) => {
    await bus.publish([record])
  }
  const ports: ConsolePorts = consolePorts({
    bus,
    store: { query: unused, sql: unused },
    keys: { list: () => [], get: (id) => keys.get(id), onChange: (listener) => keys.onChange(listener) },
    keyCommands: { create: unused, claim: unused },
    models,
    incidents,
    findings,
    actions,
    containments,
    limits: [],
    shares: new Map<string, Share>(),
    commander: {
      order: (order, by) => {
        ordered.push({ order, by })
        return carryOut(order, publish)
      },
    },
    status: unused,
  })
  t.after(async () => {
    for (const part of [keys, models, containments, actions, findings, incidents, leases, bus]) await part.close()
  })
  return { ports, ordered, bus, known: (id: string) => keys.get(id) }
}

const request = { target: lease.target, action: lease.action, parameters: lease.parameters, forMs: 60_000, reason: 'r', by: 'olga' }

it('orders a containment, and shows it at once to who looks next', async (t) => {
  const { ports, ordered } = await open(t, async (_order, publish) => {
    // The order is done before its record is: another topic, another reader.
    setTimeout(() => void publish(encode('containments', newEvent('containment', lease, 'respond', at))), 30)
    return lease
  })
  const made = await ports.containments.contain(request)
  assert.deepEqual(ordered, [{ order: { kind: 'contain', ...without(request) }, by: 'olga' }])
  assert.equal(made.id, lease.id)
  assert.deepEqual(made.awaiting, ['node-1'])
  assert.deepEqual(
    ports.containments.list().map(({ id }) => id),
    [lease.id],
  )
})

it('waits for the revision that was ordered, not for an older one', async (t) => {
  const released = { ...lease, state: 'released', revision: 1, endedAt: at, endedBy: 'person:olga' } as const
  const { ports } = await open(t, async (order, publish) => {
    if (order.kind === 'contain') {
      await publish(encode('containments', newEvent('containment', lease, 'respond', at)))
      return lease
    }
    setTimeout(() => void publish(encode('containments', newEvent('containment', released, 'respond', at))), 30)
    return released
  })
  await ports.containments.contain(request)
  assert.equal((await ports.containments.release(lease.id, 'olga'))?.state, 'released')
  assert.equal(ports.containments.get(lease.id)?.state, 'released')
})

it('approves an action, and shows it as waiting no more', async (t) => {
  const executed = { ...waiting, state: 'executed' } as const
  const { ports, ordered } = await open(t, async (_order, publish) => {
    setTimeout(() => void publish(encode('actions', newEvent('action', executed, 'respond', at))), 30)
    return executed
  })
  assert.deepEqual(ports.actions.waiting(), [waiting])
  assert.equal((await ports.actions.approve(waiting.id, 'olga'))?.state, 'executed')
  assert.deepEqual(ports.actions.waiting(), [])
  assert.deepEqual(ports.actions.ofIncident(waiting.incident ?? ''), [executed])
  assert.deepEqual(ordered, [{ order: { kind: 'approve', action: waiting.id }, by: 'olga' }])
})

it('revokes and rotates a key, and shows both at once', async (t) => {
  const key = { id: 'abcdefghijkl', principal: 'alice', organization: null, hash: null, state: 'revoked', createdAt: at } as const
  const revoked = Key.parse({ ...key, expiresAt: null, revokedAt: at, replaces: null })
  const successor: Key = { ...revoked, id: 'mnopqrstuvwx', state: 'pending', revokedAt: null, replaces: key.id }
  const { ports, known } = await open(t, async (order, publish) => {
    const made = order.kind === 'revoke-key' ? revoked : successor
    setTimeout(() => void publish(encode('keys', newEvent('key', made, 'respond', at))), 30)
    return order.kind === 'revoke-key' ? revoked : [successor.id]
  })
  const shown = await ports.keys.revoke(key.id, 'olga')
  assert.equal(shown?.state, 'revoked')
  assert.ok(shown !== null && !('hash' in shown))
  assert.equal(known(key.id)?.state, 'revoked')
  assert.deepEqual(await ports.keys.rotate('alice', 1, 'olga'), [successor.id])
  assert.equal(known(successor.id)?.state, 'pending')
})

it('promotes a version, and shows it at once', async (t) => {
  const model: Model = { ...served, current: '3' }
  const { ports, ordered } = await open(t, async (_order, publish) => {
    setTimeout(() => void publish(encode('models', newEvent('model', model, 'respond', at))), 30)
    return model
  })
  const made = await ports.models.promote({ model: 'digits', version: '3', good: true }, 'olga')
  assert.deepEqual([made, ports.models.list()], [model, [model]])
  assert.deepEqual(ordered, [{ order: { kind: 'promote-model', model: 'digits', version: '3', good: true }, by: 'olga' }])
})

it('finds what was given up on the log, and orders that it is tried again', async (t) => {
  const place = { topic: 'flows', partition: 2, offset: 77 }
  const { ports, ordered, bus } = await open(t, async () => place)
  const { id, source, ...letter } = deadLetter
  await bus.publish([encode('dead-letters', newEvent('dead-letter', letter, source, at, id))])
  assert.deepEqual(await ports.deadLetters.list({ limit: 10 }), [deadLetter])
  assert.deepEqual(await ports.deadLetters.list({ topic: 'requests', limit: 10 }), [])
  assert.deepEqual(await ports.deadLetters.get(id), deadLetter)
  assert.deepEqual(await ports.deadLetters.replay(id, 'olga'), place)
  assert.deepEqual(ordered, [{ order: { kind: 'replay-dead-letter', letter: id }, by: 'olga' }])
})

it('says that there was nothing to release, approve, revoke or replay', async (t) => {
  const { ports } = await open(t, async (order) => (order.kind === 'rotate-key' ? [] : null))
  assert.equal(await ports.containments.release('principal:x/y', 'olga'), null)
  assert.equal(await ports.actions.approve(waiting.id, 'olga'), null)
  assert.equal(await ports.keys.revoke('nope', 'olga'), null)
  assert.equal(await ports.deadLetters.replay(deadLetter.id, 'olga'), null)
  assert.deepEqual(await ports.keys.rotate('nobody', 1, 'olga'), [])
})

it('hands on who refused an order, and why', async (t) => {
  const { ports } = await open(t, async () => {
    throw new CordonError('LEASE_REFUSED', 'it would end before it began')
  })
  await assert.rejects(ports.containments.contain(request), { code: 'LEASE_REFUSED' })
})

function without({ by: _by, ...rest }: typeof request): Omit<typeof request, 'by'> {
  return rest
}
