import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { GuardOptions } from '../../responders/guard/guard.ts'
import type { Action } from '../../schemas/index.ts'
import { egress, finding, hash, hour, inventory, minute, second, start } from '../responders/given.ts'
import { Given } from './response-given.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
})
afterEach(() => given.close())

/** `responder target state`, in the order written. */
function told(actions: readonly Action[]): string[] {
  return actions.map(({ responder, target, state }) => `${responder} ${target} ${state}`)
}

describe('from finding to lease', () => {
  it('contains whom a certain finding names, and says what it did and why', async () => {
    const { worker } = await given.start()
    given.now = start + 3
    await given.publish(finding())
    await given.handled()
    const leases = await given.leases()
    assert.deepEqual(
      leases.map(({ id, state, revision, from, until, decidedAt }) => [id, state, revision, from - start, until - start, decidedAt]),
      [
        // Decided by the request that arrived at `start`; granted 3 ms later.
        ['principal:mallory/throttle-principal', 'active', 0, 3, 10 * minute + 3, start],
        ['principal:mallory/harden-output', 'active', 0, 3, 30 * minute + 3, start],
      ],
    )
    assert.deepEqual(told(await given.actions()), [
      'throttle-principal principal:mallory executed',
      'harden-output principal:mallory executed',
    ])
    const [incident] = await given.incidents()
    assert.deepEqual([incident?.state, incident?.findingCount, incident?.repetitions], ['contained', 1, 0])
    assert.deepEqual([leases[0]?.incident, leases[0]?.owner], [incident?.id, 'playbook:test/certain'])
    const { assignments, ...state } = worker.state()
    assert.deepEqual(state, {
      incidents: 1,
      leases: 2,
      waiting: 0,
      findings: 1,
      lastFindingAt: start,
      trouble: null,
      inCharge: true,
    })
    assert.deepEqual(assignments.map(({ topic, partition, offset, end, lagMs }) => [topic, partition, offset, end, lagMs]).sort(), [
      ['commands', 0, 0, 0, 0],
      ['findings', 0, 1, 1, 0],
    ])
    assert.equal(worker.actionsOf(incident?.id ?? '').length, 2)
  })

  it('only observes what is unlikely, and takes neither a gap nor what only informs for an incident', async () => {
    const { worker } = await given.start()
    await given.publish(
      finding({ confidence: 0.3 }),
      finding({ id: hash('blind'), detector: 'blindness', confidence: 1, principals: ['eve'] }),
      finding({ id: hash('told'), severity: 'info', confidence: 0.99, principals: ['trent'] }),
    )
    await given.handled()
    assert.deepEqual([await given.leases(), await given.actions()], [[], []])
    assert.deepEqual(
      (await given.incidents()).map(({ state }) => state),
      ['open'],
    )
    assert.equal(worker.state().findings, 3)
  })

  it('strengthens as confidence rises, and never weakens when a likely finding follows', async () => {
    const { keeper } = await given.start()
    await given.publish(finding({ confidence: 0.7 }))
    await given.handled()
    assert.equal(keeper.get('principal:mallory/throttle-principal')?.parameters['requests'], 30)
    await given.publish(finding({ confidence: 0.95, revision: 1 }))
    await given.handled()
    assert.equal(keeper.get('principal:mallory/throttle-principal')?.parameters['requests'], 1)
    given.now = start + 6 * minute
    await given.publish(finding({ id: hash('other'), confidence: 0.7, time: given.now }))
    await given.handled()
    const lease = keeper.get('principal:mallory/throttle-principal')
    assert.deepEqual([lease?.parameters['requests'], lease?.revision, lease?.until], [1, 2, start + 16 * minute])
    assert.equal((await given.incidents()).length, 1)
  })

  it('renews the lease of an attack that goes on, and escalates one that comes back after it', async () => {
    const { keeper, worker } = await given.start()
    for (const [revision, minutes] of [0, 1, 6, 7].entries()) {
      given.now = start + minutes * minute
      await given.publish(finding({ revision, time: given.now }))
      await given.handled()
    }
    // Granted at 0; 1 is in the same half; renewed at 6; 7 is in the same half.
    const throttles = (await given.leases()).filter(({ action }) => action === 'throttle-principal')
    assert.deepEqual(
      throttles.map(({ revision, until }) => [revision, (until - start) / minute]),
      [
        [0, 10],
        [1, 16],
      ],
    )
    given.now = start + hour
    await keeper.sweep()
    await given.publish(finding({ revision: 4, time: given.now }))
    await given.handled()
    const [first, second] = await given.incidents()
    assert.deepEqual([first?.state, second?.state, second?.repetitions], ['closed', 'contained', 1])
    assert.equal(told(await given.actions()).at(-1), 'deny-principal principal:mallory executed')
    assert.equal(worker.state().leases, 1)
  })

  it('closes an incident when its leases ended and it was quiet', async () => {
    const { worker } = await given.start()
    await given.publish(finding())
    await given.handled()
    given.now = start + hour
    await worker.tick()
    assert.equal((await given.incidents())[0]?.state, 'contained')
    given.now = start + hour + 1
    await worker.tick()
    assert.deepEqual(
      (await given.incidents()).map(({ state, closedAt }) => [state, closedAt]),
      [['closed', given.now]],
    )
  })

  it('quarantines the pool of a workload', async () => {
    await given.start()
    await given.publish(egress())
    await given.handled()
    assert.deepEqual(
      (await given.leases()).map(({ id }) => id),
      ['pool:b/quarantine-pool'],
    )
  })

  it('puts what is no finding on dead-letters and goes on', async () => {
    await given.start()
    await given.bus.publish([{ topic: 'findings', key: 'x', value: Buffer.from('{'), headers: {}, timestamp: start }])
    await given.publish(finding())
    await given.handled()
    assert.deepEqual(
      (await given.all('dead-letters')).map(({ topic, code }) => [topic, code]),
      [['findings', 'MISSING_ATTRIBUTE']],
    )
    assert.equal((await given.leases()).length, 2)
  })

  it('does nothing twice for a finding that is delivered twice', async () => {
    await given.start()
    await given.publish(finding(), finding(), finding({ revision: 1 }))
    await given.handled()
    given.now += second
    await given.publish(finding())
    await given.handled()
    assert.deepEqual(
      (await given.leases()).map(({ revision }) => revision),
      [0, 0],
    )
    assert.equal((await given.actions()).length, 2)
    assert.equal((await given.incidents())[0]?.findingCount, 1)
  })
})

describe('the guard', () => {
  it('in dry-run mode records what would have been done', async () => {
    await given.start({ guard: GuardOptions.parse({ mode: 'dry-run' }) })
    await given.publish(finding())
    await given.handled()
    assert.deepEqual(await given.leases(), [])
    assert.deepEqual(told(await given.actions()), [
      'throttle-principal principal:mallory would-have',
      'harden-output principal:mallory would-have',
    ])
    assert.equal((await given.incidents())[0]?.state, 'open')
  })

  it('keeps the last pool, until a person says yes', async () => {
    const only = inventory({ pools: new Map([['b', ['digits']]]) })
    const { worker, keeper } = await given.start({ inventory: () => only })
    await given.publish(egress())
    await given.handled()
    const [waiting] = worker.waiting()
    assert.deepEqual([waiting?.state, waiting?.note], ['awaiting-approval', 'No other pool would serve digits.'])
    given.now = start + 5 * minute
    const done = await worker.approve(waiting?.id ?? '', 'ann')
    assert.equal(done?.state, 'executed')
    assert.match(done?.note ?? '', /^Approved by ann\./)
    const lease = keeper.get('pool:b/quarantine-pool')
    // The thirty minutes begin with the approval, and nobody's request decided it.
    assert.deepEqual([lease?.until, lease?.decidedAt], [start + 35 * minute, null])
    assert.equal((await given.incidents())[0]?.state, 'contained')
    assert.equal(await worker.approve(waiting?.id ?? '', 'ann'), null)
  })

  it('leaves what a person declined alone', async () => {
    const { worker } = await given.start({ guard: GuardOptions.parse({ protected: ['principal:mallory'] }) })
    await given.publish(finding({ confidence: 0.7 }))
    await given.handled()
    assert.equal((await worker.decline(worker.waiting()[0]?.id ?? '', 'ann'))?.state, 'would-have')
    await given.publish(finding({ confidence: 0.7, revision: 1 }))
    await given.handled()
    assert.deepEqual([worker.waiting(), await given.leases()], [[], []])
  })

  it('waits on beyond a restart', async () => {
    const only = inventory({ pools: new Map([['b', ['digits']]]) })
    const before = await given.start({ inventory: () => only })
    await given.publish(egress())
    await given.handled()
    await given.stop(before)
    const { worker } = await given.start({ inventory: () => only })
    assert.equal((await worker.approve(worker.waiting()[0]?.id ?? '', 'ann'))?.state, 'executed')
  })

  it('contains at most so many at once, counting those of the same batch', async () => {
    await given.start({ guard: GuardOptions.parse({ floor: 3, maxShare: { restrict: 0, degrade: 1 } }) })
    await given.publish(...Array.from({ length: 5 }, (_, i) => finding({ id: hash(`f${i}`), principals: [`p${i}`], confidence: 0.8 })))
    await given.handled()
    const states = (await given.actions()).map(({ state }) => state).sort()
    assert.deepEqual(states, ['awaiting-approval', 'awaiting-approval', 'executed', 'executed', 'executed'])
  })
})

describe('people', () => {
  it('contain: settings checked, recorded, and stronger than what stands', async () => {
    const { worker, keeper } = await given.start()
    await given.publish(finding())
    await given.handled()
    const request = {
      target: 'principal:mallory',
      action: 'throttle-principal',
      parameters: { requests: '50' },
      forMs: minute,
      reason: 'a test',
      by: 'ann',
    }
    const lease = await worker.contain(request)
    assert.deepEqual([lease.owner, lease.parameters['requests'], lease.until, lease.revision], ['person:ann', 50, start + minute, 1])
    assert.equal(keeper.get(lease.id)?.revision, 1)
    assert.equal((await given.actions()).at(-1)?.owner, 'person:ann')
    const refusals = [
      [{ ...request, action: 'shout' }, 'RESPONDER_UNKNOWN'],
      [{ ...request, target: 'pool:b' }, 'TARGET_UNSUITED'],
      [{ ...request, target: 'nobody' }, 'TARGET_UNSUITED'],
      [{ ...request, forMs: 48 * hour }, 'DURATION_UNSUITED'],
      [{ ...request, parameters: { requests: 0 } }, 'PARAMETERS_INVALID'],
    ] as const
    for (const [wrong, code] of refusals) await assert.rejects(worker.contain(wrong), { code })
  })

  it('contain with the full effect of the responder', async () => {
    const { worker } = await given.start()
    await worker.contain({ target: 'principal:mallory', action: 'rotate-key', parameters: {}, forMs: hour, reason: 'leaked', by: 'ann' })
    assert.deepEqual(given.rotations, ['mallory'])
  })

  it('release: undone at once, on record, and not contained again until the term is over', async () => {
    const { worker, keeper } = await given.start()
    await given.publish(finding({ confidence: 0.8 }))
    await given.handled()
    given.now = start + minute
    const released = await worker.release('principal:mallory/throttle-principal', 'ann')
    assert.deepEqual([released?.state, released?.endedBy, released?.endedAt], ['released', 'person:ann', given.now])
    assert.deepEqual(told(await given.actions()).at(-1), 'throttle-principal principal:mallory reverted')
    assert.equal((await given.incidents())[0]?.state, 'open')
    given.now = start + 6 * minute
    await given.publish(finding({ confidence: 0.8, revision: 1, time: given.now }))
    await given.handled()
    assert.match((await given.actions()).at(-1)?.note ?? '', /^person:ann released this lease/)
    given.now = start + 11 * minute
    await given.publish(finding({ confidence: 0.8, revision: 2, time: given.now }))
    await given.handled()
    assert.equal(keeper.get('principal:mallory/throttle-principal')?.state, 'active')
    assert.equal((await given.incidents()).length, 1)
    assert.equal(await worker.release('principal:nobody/deny-principal', 'ann'), null)
  })
})

describe('trouble', () => {
  it('an effect that hangs or throws is tried again, then recorded as failed, and tried with the next finding', async () => {
    let works = false
    const calls: string[] = []
    const rotate = async (principal: string) => {
      calls.push(principal)
      if (!works) throw new Error('the registry is away')
      return []
    }
    const { worker } = await given.start({}, given.bus, rotate)
    await given.publish(finding({ confidence: 0.65 }))
    await given.handled()
    const failed = (await given.actions()).findLast(({ state }) => state === 'failed')
    assert.match(failed?.note ?? '', /the registry is away/)
    assert.equal(calls.length, 2)
    works = true
    await given.publish(finding({ confidence: 0.65, revision: 1 }))
    await given.handled()
    assert.equal(worker.actionsOf(failed?.incident ?? '')[0]?.state, 'executed')
  })
})
