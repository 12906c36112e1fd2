import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { GuardOptions } from '../../responders/guard/guard.ts'
import { finding, hash, hour, minute, second, start } from '../responders/given.ts'
import { CrashingBus, Given, taking } from './response-given.ts'
import { until } from './until.ts'

let given: Given
beforeEach(async () => {
  given = await Given.open()
})
afterEach(() => given.close())

/** Three episodes in four findings: mallory twice, eve, and a likely one about trent. */
const findings = [
  finding(),
  finding({ id: hash('eve'), principals: ['eve'], time: start + second }),
  finding({ revision: 1, time: start + 2 * second }),
  finding({ id: hash('trent'), principals: ['trent'], confidence: 0.75, time: start + 3 * second }),
]

/** What stands in the end, but for the moments at which it came to be. */
async function standing() {
  const leases = (await given.leases()).map(({ id, revision, state, parameters }) => JSON.stringify([id, revision, state, parameters]))
  const actions = (await given.actions()).map(({ id, state }) => `${id} ${state}`)
  const incidents = (await given.incidents()).map(({ id, state, findingCount, findings: ids, repetitions }) =>
    JSON.stringify([id, state, findingCount, ids, repetitions]),
  )
  return {
    // Every record of a lease: a second grant would be a second revision.
    leases: leases.sort(),
    // An action may be recorded twice where its first record was cut short, in the same words.
    actions: [...new Set(actions)].sort(),
    incidents: incidents.sort(),
  }
}

async function undisturbed() {
  const running = await given.start()
  await given.publish(...findings)
  await given.handled()
  await given.stop(running)
  return standing()
}

describe('a process that dies', () => {
  // Writes of the undisturbed run: taking charge, five leases, one of incidents and actions, one offset; the rest never comes to it.
  for (let writes = 0; writes <= taking + 7; writes++) {
    for (const lastIsWritten of [false, true]) {
      it(`after ${writes} writes${lastIsWritten ? ', and one that nobody heard of' : ''} leaves what an undisturbed run leaves`, async () => {
        const expected = await undisturbed()
        await given.close()
        given = await Given.open()
        const bus = new CrashingBus(given.bus, writes, lastIsWritten)
        const dying = await given.start({}, bus)
        await given.publish(...findings)
        await until('the crash or the end', async () => bus.crashed || (await committed()) === findings.length)
        await given.stop(dying)
        // The next start is a while later, by its clock.
        given.now += 2 * minute
        const running = await given.start()
        await given.handled()
        assert.deepEqual(await standing(), expected)
        assert.equal(running.worker.incidents().length, 3)
      })
    }
  }

  it('after which a person released a lease: the redelivered finding does not bring it back', async () => {
    // One action, one lease; it dies before the incident and the action are written.
    const bus = new CrashingBus(given.bus, taking + 1, false)
    const dying = await given.start({}, bus)
    await given.publish(finding({ confidence: 0.8 }))
    await until('the crash', () => bus.crashed)
    await given.stop(dying)
    const keeper = await given.keeper()
    await keeper.release('principal:mallory/throttle-principal', 'person:ann')
    await keeper.close()
    const { worker } = await given.start()
    await given.handled()
    assert.deepEqual(
      (await given.leases()).map(({ state, revision }) => [state, revision]),
      [
        ['active', 0],
        ['released', 1],
      ],
    )
    assert.deepEqual([worker.incidents()[0]?.state, (await given.actions())[0]?.state], ['open', 'would-have'])
  })

  it('before it could note that a lease was released: the next start notes it', async () => {
    const bus = new CrashingBus(given.bus, taking + 4, false)
    const dying = await given.start({}, bus)
    await given.publish(finding({ confidence: 0.8 }))
    await given.handled()
    // Writes so far: the lease, incident with action, the offset. The release is the fourth; its record is lost.
    await assert.rejects(async () => {
      await dying.worker.release('principal:mallory/throttle-principal', 'ann')
      await dying.worker.tick()
    })
    await given.stop(dying)
    const { worker } = await given.start()
    await worker.tick()
    assert.equal((await given.actions()).at(-1)?.state, 'reverted')
    assert.equal((await given.incidents())[0]?.state, 'open')
  })
})

describe('a restart', () => {
  it('goes on with repetitions, leases and counts', async () => {
    const before = await given.start()
    await given.publish(finding())
    await given.handled()
    given.now = start + 2 * hour
    await before.worker.tick()
    await given.stop(before)
    const { worker } = await given.start()
    assert.equal(worker.incidents().length, 0)
    await given.publish(finding({ id: hash('again'), time: given.now }))
    await given.handled()
    assert.equal(worker.incidents()[0]?.repetitions, 1)
    assert.equal((await given.leases()).at(-1)?.action, 'deny-principal')
  })

  it('or a second process that stood by goes on where the first stopped', async () => {
    const first = await given.start()
    const second = await given.start()
    await given.publish(finding(), finding({ id: hash('other') }))
    await given.handled()
    await given.stop(first)
    await given.publish(finding({ revision: 1 }), finding({ id: hash('third') }))
    await given.handled()
    assert.deepEqual(
      (await given.leases()).map(({ revision }) => revision),
      [0, 0],
    )
    assert.equal(second.worker.incidents()[0]?.findingCount, 3)
    assert.equal(second.worker.state().leases, 2)
  })

  it('counts each finding once, even beyond the hundred that an incident names', async () => {
    const many = Array.from({ length: 130 }, (_, i) => finding({ id: hash(`f${i}`) }))
    // Two leases, then incident and actions are written; the offset is not.
    const bus = new CrashingBus(given.bus, taking + 3, false)
    const dying = await given.start({}, bus)
    await given.publish(...many)
    await until('the crash', () => bus.crashed)
    await given.stop(dying)
    await given.start()
    await given.handled()
    assert.equal((await given.incidents())[0]?.findingCount, 130)
  })

  it('without a dry run does what it only wrote down before', async () => {
    const dry = await given.start({ guard: GuardOptions.parse({ mode: 'dry-run' }) })
    await given.publish(finding())
    await given.handled()
    await given.stop(dry)
    await given.start()
    await given.publish(finding({ revision: 1 }))
    await given.handled()
    assert.deepEqual(
      (await given.leases()).map(({ state }) => state),
      ['active', 'active'],
    )
  })
})

async function committed(): Promise<number | null> {
  const groups = await given.bus.groups()
  return groups.find(({ group, topic }) => group === 'respond' && topic === 'findings')?.committed ?? null
}
