import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { encode, newEvent } from '../../../bus/codec.ts'
import { underTerm } from '../../../bus/fence.ts'
import { openView } from '../../../bus/view.ts'
import type { LeaseRequest } from '../../../responders/contract.ts'
import type { Containment } from '../../../schemas/index.ts'
import { hash, hour, lease, minute, start } from '../../responders/given.ts'
import { CrashingBus, Given, taking } from '../response-given.ts'
import { until } from '../until.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
})
afterEach(() => given.close())

const id = 'principal:mallory/throttle-principal'

function request(changes: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    target: 'principal:mallory',
    action: 'throttle-principal',
    parameters: { requests: 1, windowMs: minute },
    reason: 'Near-duplicate queries',
    owner: 'playbook:test/certain',
    incident: hash('incident'),
    until: start + 10 * minute,
    decidedAt: start,
    ...changes,
  }
}

describe('the lease keeper', () => {
  it('has put a lease on the log when it answers, and knows it after a restart', async () => {
    const keeper = await given.keeper()
    const granted = await keeper.grant(request())
    assert.deepEqual(await given.leases(), [granted])
    await keeper.close()
    const again = await given.keeper()
    assert.deepEqual(again.list(), [granted])
    await again.close()
  })

  it('marks what ran out as expired, and tells so', async () => {
    const keeper = await given.keeper()
    const told: Containment[] = []
    keeper.onChange((change) => told.push(change))
    await keeper.grant(request())
    assert.deepEqual(await keeper.sweep(), [])
    given.now = start + 10 * minute
    const [expired] = await keeper.sweep()
    assert.deepEqual([expired?.state, expired?.endedAt, expired?.endedBy], ['expired', start + 10 * minute, 'expiry'])
    assert.deepEqual(
      told.map(({ state }) => state),
      ['active', 'expired'],
    )
    assert.deepEqual(await keeper.sweep(), [])
    await keeper.close()
  })

  it('does so by itself', async () => {
    const keeper = await given.keeper({ sweepMs: 5 })
    await keeper.grant(request())
    given.now = start + hour
    await until('the expiry', () => keeper.get(id)?.state === 'expired')
    await keeper.close()
  })

  it('makes one lease of grants that come at once, and the strongest stands', async () => {
    const keeper = await given.keeper()
    const rates = [30, 5, 10, 1, 20]
    await Promise.all(
      rates.map((requests, i) => keeper.grant(request({ parameters: { requests, windowMs: minute }, decidedAt: start + i }))),
    )
    // 30, then 5, then 1 are stronger than what stood; 10 and 20 change nothing.
    assert.deepEqual(
      (await given.leases()).map(({ revision, parameters }) => [revision, parameters['requests']]),
      [
        [0, 30],
        [1, 5],
        [2, 1],
      ],
    )
    await keeper.close()
  })

  it('extends and releases', async () => {
    const keeper = await given.keeper()
    await keeper.grant(request())
    assert.equal((await keeper.extend(id, start + hour, 'person:ann'))?.until, start + hour)
    assert.equal((await keeper.release(id, 'person:ann'))?.state, 'released')
    assert.equal((await keeper.release(id, 'person:bob'))?.endedBy, 'person:ann')
    assert.equal(await keeper.extend(id, start + 2 * hour, 'person:ann'), null)
    assert.equal(await keeper.release('pool:zz/quarantine-pool', 'person:ann'), null)
    await keeper.close()
  })

  it('keeps to its bound, even where grants come at once', async () => {
    const keeper = await given.keeper({ limits: { maxActive: 2 } })
    const grants = ['a', 'b', 'c', 'd'].map((name) => keeper.grant(request({ target: `principal:${name}` })))
    const codes = (await Promise.allSettled(grants)).map((grant) => (grant.status === 'rejected' ? grant.reason.code : 'granted'))
    assert.deepEqual(codes, ['granted', 'granted', 'LEASES_FULL', 'LEASES_FULL'])
    await assert.rejects(keeper.grant(request({ target: 'principal:a', action: 'deny-principal', until: start - 1 })), {
      code: 'LEASE_REFUSED',
    })
    await keeper.close()
  })

  it('does not keep what could not be written', async () => {
    const keeper = await given.keeper({ bus: new CrashingBus(given.bus, taking + 1, false) })
    await keeper.grant(request())
    await assert.rejects(keeper.grant(request({ target: 'principal:eve' })), /crashed/)
    await assert.rejects(keeper.release(id, 'person:ann'), /crashed/)
    assert.deepEqual(
      keeper.list().map(({ target, state }) => [target, state]),
      [['principal:mallory', 'active']],
    )
    await keeper.close()
  })

  it('drops the longest-ended leases from the topic beyond its bound', async () => {
    const keeper = await given.keeper({ maxEnded: 1 })
    for (const name of ['a', 'b', 'c']) await keeper.grant(request({ target: `principal:${name}` }))
    for (const name of ['b', 'a']) await keeper.release(`principal:${name}/throttle-principal`, 'person:ann')
    await keeper.sweep()
    assert.deepEqual(
      keeper.list().map(({ target }) => target),
      ['principal:c', 'principal:a'],
    )
    const view = await openView(given.bus, 'containments')
    assert.deepEqual([...view.values()].map(({ target }) => target).sort(), ['principal:a', 'principal:c'])
    await view.close()
    await keeper.close()
  })

  it('follows what another process writes, the highest revision whatever the order', async () => {
    const keeper = await given.keeper()
    const write = (revision: number, requests: number) =>
      given.bus.publish([
        underTerm(encode('containments', newEvent('containment', lease({ revision, parameters: { requests } }), 'elsewhere', start)), 9),
      ])
    await write(3, 3)
    await write(2, 2)
    await write(4, 4)
    await until('revision 4', () => keeper.get(id)?.revision === 4)
    assert.equal(keeper.list().length, 1)
    await keeper.close()
  })
})
