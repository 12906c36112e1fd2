import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { encode, newEvent } from '../../../bus/codec.ts'
import { Fence, underTerm } from '../../../bus/fence.ts'
import type { BusRecord } from '../../../bus/port.ts'
import { openView } from '../../../bus/view.ts'
import { Charge } from '../../../pipeline/response/charge.ts'
import { type LeaseKeeper, openLeases } from '../../../pipeline/response/lease-keeper.ts'
import type { LeaseRequest } from '../../../responders/contract.ts'
import { responders } from '../../../responders/registry.ts'
import { type Action, type Containment, type TopicName, termKey } from '../../../schemas/index.ts'
import { finding, hash, hour, lease, minute, start } from '../../responders/given.ts'
import { PausableBus } from '../pausable-bus.ts'
import { Given, log } from '../response-given.ts'
import { until } from '../until.ts'
import { countingOf } from './counting.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
})
afterEach(() => given.close())

const id = 'principal:mallory/throttle-principal'
const refused = { code: 'NOT_IN_CHARGE' }

function request(changes: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    target: 'principal:mallory',
    action: 'throttle-principal',
    parameters: { requests: 1, windowMs: minute },
    reason: '',
    owner: 'playbook:test/certain',
    incident: hash('incident'),
    until: start + 10 * minute,
    decidedAt: start,
    ...changes,
  }
}

interface Process {
  readonly bus: PausableBus
  readonly charge: Charge
  readonly keeper: LeaseKeeper
}

async function open(holder: string): Promise<Process> {
  const bus = new PausableBus(given.bus)
  const charge = await Charge.open({ bus, clock: () => given.now, holder, log })
  const keeper = await openLeases({ bus, charge, clock: () => given.now, source: holder, responders, log, sweepMs: null })
  return { bus, charge, keeper }
}

async function closeAll(...processes: readonly Process[]): Promise<void> {
  for (const { bus, charge, keeper } of processes) {
    await bus.goOn()
    await keeper.close()
    await charge.close()
  }
}

async function records(topic: TopicName): Promise<BusRecord[]> {
  const found: BusRecord[] = []
  for await (const some of given.bus.read(topic, 0, 0)) found.push(...some)
  return found
}

/** What a reader holds of a topic that compaction has left the newest of each key of. */
async function afterCompaction(topic: TopicName): Promise<Set<string>> {
  const all = await records(topic)
  const newest = new Map(all.map((record) => [record.key, record]))
  const fence = new Fence(topic)
  const held = new Set<string>()
  for (const record of all) {
    if (newest.get(record.key) !== record || fence.judge(record) !== 'counts') continue
    if (record.value !== null) held.add(record.key ?? '')
  }
  return held
}

describe('taking charge', () => {
  it('makes every earlier process refuse, once it hears of it', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await assert.rejects(a.keeper.grant(request()), refused)
    await a.charge.take()
    await a.keeper.grant(request())
    await b.charge.take()
    assert.equal(b.keeper.get(id)?.revision, 0)
    await until('a to hear of it', () => !a.charge.held)
    for (const change of [
      () => a.keeper.grant(request()),
      () => a.keeper.extend(id, start + hour, 'person:ann'),
      () => a.keeper.release(id, 'person:ann'),
      () => a.keeper.sweep(),
    ])
      await assert.rejects(change, refused)
    await b.keeper.release(id, 'person:ann')
    await until('a to follow', () => a.keeper.get(id)?.state === 'released')
    await closeAll(a, b)
  })

  it('begins where something is said to be done before it begins where it is done', async () => {
    const order: string[] = []
    const a = await open('a')
    const publish = a.bus.publish.bind(a.bus)
    a.bus.publish = (some) => {
      order.push(some.map(({ topic }) => topic).join(' '))
      return publish(some)
    }
    await a.charge.take()
    assert.deepEqual(order, ['outcomes', 'actions incidents', 'containments keys models risks shares'])
    await closeAll(a)
  })

  it('waits until all that was written before is known', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await a.charge.take()
    b.bus.deafen()
    await a.keeper.grant(request())
    let taken = false
    const taking = b.charge.take().then(() => {
      taken = true
    })
    await until('the term to be there', async () => (await records('models')).length === 2)
    await until('a to hear of it', () => !a.charge.held)
    assert.equal(taken, false)
    await b.bus.goOn()
    await taking
    assert.equal(b.keeper.get(id)?.revision, 0)
    await closeAll(a, b)
  })

  it('fails where another process took it meanwhile, and where it was dropped meanwhile', async () => {
    const [a, b] = [await open('a'), await open('b')]
    a.bus.stop()
    const taking = assert.rejects(a.charge.take(), refused)
    await b.charge.take()
    a.charge.drop()
    await a.bus.goOn()
    await taking
    assert.equal(a.charge.held, false)
    await closeAll(a, b)
  })

  it('goes on where the log was copied and offsets began anew', async () => {
    const copied = encode('containments', newEvent('containment', lease({}), 'elsewhere', start))
    await given.bus.publish([underTerm(copied, 5_000)])
    const a = await open('a')
    await a.charge.take()
    assert.equal(a.charge.term(), 5_001)
    await a.keeper.grant(request({ target: 'principal:eve' }))
    const view = await openView(given.bus, 'containments')
    assert.deepEqual([...view.values()].map(({ target }) => target).sort(), ['principal:eve', 'principal:mallory'])
    await view.close()
    await closeAll(a)
  })

  it('reads logs of before there were terms, and ignores a process that still has none', async () => {
    const bare = (requests: number, revision: number) =>
      encode('containments', newEvent('containment', lease({ revision, parameters: { requests } }), 'old', start))
    await given.bus.publish([bare(9, 0)])
    const a = await open('a')
    await a.charge.take()
    assert.equal(a.keeper.get(id)?.parameters['requests'], 9)
    await given.bus.publish([bare(1, 1)])
    await until('the repair', async () => (await records('containments')).length === 4)
    assert.equal(a.keeper.get(id)?.parameters['requests'], 9)
    await closeAll(a)
  })
})

describe('a process that was stopped', () => {
  it('while it wrote: what it writes late counts for nobody, and is written over', async () => {
    const [a, b] = [await open('a'), await open('b')]
    const errors: unknown[] = []
    const view = await openView(given.bus, 'containments', { onError: (error) => errors.push(error) })
    await a.charge.take()
    await a.keeper.grant(request({ target: 'principal:eve' }))
    a.bus.stop()
    // What it is told itself is of no interest: it may not have heard yet.
    const late = Promise.allSettled([a.keeper.grant(request()), a.keeper.release('principal:eve/throttle-principal', 'person:ann')])
    await b.charge.take()
    await a.bus.goOn()
    await late
    const written = await records('containments')
    // Two terms, the first lease, and what came late: it is on the log.
    assert.ok(written.filter(({ key }) => key !== termKey).length >= 3)
    // The lease that never was, and the one that was released by nobody, are as before.
    await until('the repair', async () => (await records('containments')).length === 7)
    assert.deepEqual(await afterCompaction('containments'), new Set(['principal:eve/throttle-principal']))
    for (const keeper of [a.keeper, b.keeper]) {
      assert.equal(keeper.get(id), undefined)
      assert.equal(keeper.get('principal:eve/throttle-principal')?.state, 'active')
    }
    assert.equal(view.get(id), undefined)
    assert.equal(view.get('principal:eve/throttle-principal')?.state, 'active')
    assert.deepEqual(
      errors.map((error) => (error as { code: string }).code),
      ['FENCED'],
    )
    await view.close()
    await closeAll(a, b)
  })

  it('before it was replaced by one that is gone too: the next one repairs what it wrote over', async () => {
    const [a, b] = [await open('a'), await open('b')]
    await a.charge.take()
    await a.keeper.grant(request())
    a.bus.stop()
    const late = Promise.allSettled([a.keeper.release(id, 'person:ann')])
    await b.charge.take()
    b.bus.stop()
    await a.bus.goOn()
    await late
    const c = await open('c')
    await c.charge.take()
    await until('the repair', async () => (await afterCompaction('containments')).has(id))
    assert.equal(c.keeper.get(id)?.state, 'active')
    await closeAll(a, b, c)
  })

  it('after its lease was written, before its action was: the action is executed once', async () => {
    const bus = new PausableBus(given.bus)
    let granted = 0
    const publish = bus.publish.bind(bus)
    bus.publish = async (some) => {
      const positions = await publish(some)
      if (some.some(({ topic, key }) => topic === 'containments' && key !== termKey) && ++granted === 2) bus.stop()
      return positions
    }
    // Groups of their own: both are given the finding, as by a group that took the first for dead.
    await given.start({ group: 'a' }, bus)
    await given.publish(finding())
    await until('both leases', () => granted === 2)
    given.now += minute
    await given.start({ group: 'b' })
    await until('the second to handle it', async () => (await counted()).length === 2)
    await bus.goOn()
    await until('the first to hear of it', async () => (await committed('a')) === 1)
    const actions = await counted()
    assert.deepEqual(actions.map(({ responder, state }) => [responder, state]).sort(), [
      ['harden-output', 'executed'],
      ['throttle-principal', 'executed'],
    ])
    assert.deepEqual(
      (await given.leases()).map(({ revision }) => revision),
      [0, 0],
    )
  })

  it('and whose leases ran out: it does not mark them, and asks the group before it decides', async () => {
    const a = await open('a')
    await a.charge.take()
    await a.keeper.grant(request())
    let confirmed = true
    a.charge.confirmBy(() => confirmed)
    confirmed = false
    given.now += hour
    await assert.rejects(a.keeper.sweep(), refused)
    confirmed = true
    assert.equal((await a.keeper.sweep()).length, 1)
    await closeAll(a)
  })
})

function counted(): Promise<Action[]> {
  return countingOf(given.bus, 'actions')
}

async function committed(name: string): Promise<number | null> {
  const groups = await given.bus.groups()
  return groups.find(({ group, topic }) => group === name && topic === 'findings')?.committed ?? null
}

describe('a writer that wrote over much', () => {
  it('is put right in one go, each key as it counts', async () => {
    const a = await open('a')
    await a.charge.take()
    const names = Array.from({ length: 50 }, (_, i) => `p${i}`)
    for (const name of names) await a.keeper.grant(request({ target: `principal:${name}` }))
    const zombie = (target: string): Containment => lease({ id: `${target}/throttle-principal`, target, revision: 9, state: 'released' })
    const late = names.map((name) => encode('containments', newEvent('containment', zombie(`principal:${name}`), 'z', start)))
    await given.bus.publish(late)
    await until('the repair', async () => (await afterCompaction('containments')).size === 50)
    assert.ok(a.keeper.list().every(({ state, revision }) => state === 'active' && revision === 0))
    // While it repairs, its own changes go on, and none is undone.
    await given.bus.publish(late)
    await Promise.all(names.map((name) => a.keeper.release(`principal:${name}/throttle-principal`, 'person:ann')))
    await until('the second repair', async () => {
      const last = new Map((await records('containments')).map((record) => [record.key, record]))
      return names.every((name) => last.get(`principal:${name}/throttle-principal`)?.headers['cordon-term'] === String(a.charge.term()))
    })
    const view = await openView(given.bus, 'containments')
    assert.ok([...view.values()].every(({ state, revision }) => state === 'released' && revision === 1))
    await view.close()
    await closeAll(a)
  })

  it('while a change is on its way: the change stands', async () => {
    const a = await open('a')
    await a.charge.take()
    await a.keeper.grant(request())
    a.bus.holdWrites()
    const releasing = a.keeper.release(id, 'person:ann')
    await given.bus.publish([encode('containments', newEvent('containment', lease({ revision: 9 }), 'z', start))])
    // Long enough for a repair that waits for nobody to have read the log.
    await until('the fence', async () => (await records('containments')).length === 3)
    for (let i = 0; i < 100; i++) await records('containments')
    await a.bus.goOn()
    await releasing
    await until('the repair', async () => (await records('containments')).at(-1)?.headers['ce_source'] !== 'z')
    const view = await openView(given.bus, 'containments')
    await until('it', () => view.get(id)?.state === 'released')
    assert.equal(JSON.parse(Buffer.from((await records('containments')).at(-1)?.value ?? []).toString()).state, 'released')
    await view.close()
    await closeAll(a)
  })
})
