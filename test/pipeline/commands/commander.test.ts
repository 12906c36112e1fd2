import assert from 'node:assert/strict'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { keyCommands } from '../../../access/key-commands.ts'
import { decode, encode, newEvent } from '../../../bus/codec.ts'
import { newEventId } from '../../../bus/event-id.ts'
import { beginTerm, underTerm } from '../../../bus/fence.ts'
import { type Commander, openCommander } from '../../../pipeline/commands/commander.ts'
import { GuardOptions } from '../../../responders/guard/guard.ts'
import type { Command, CommandOutcome, Containment, Order } from '../../../schemas/index.ts'
import { finding, minute, start } from '../../responders/given.ts'
import { CrashingBus, Given, log, taking } from '../response-given.ts'
import { until } from '../until.ts'

let given: Given
let commander: Commander
beforeEach(async () => {
  given = await Given.open()
  commander = await openCommander({ bus: given.bus, clock: () => given.now, log })
})
afterEach(async () => {
  await commander.close()
  await given.close()
})

const lease = 'principal:mallory/throttle-principal'
const contain: Order = {
  kind: 'contain',
  target: 'principal:mallory',
  action: 'throttle-principal',
  parameters: { requests: 3 },
  forMs: 10 * minute,
  reason: 'looks like extraction',
}

function command(order: Order, changes: Partial<Command> = {}): Command {
  return { id: newEventId(given.now), by: 'ann', at: given.now, expiresAt: given.now + minute, order, ...changes }
}

/** Puts a command on the log, as a redelivery would. */
async function send(...commands: Command[]): Promise<void> {
  await given.bus.publish(commands.map((one) => encode('commands', newEvent('command', one, 'console', one.at, one.id))))
}

async function outcomes(): Promise<CommandOutcome[]> {
  const found: CommandOutcome[] = []
  for await (const records of given.bus.read('outcomes', 0, 0)) {
    for (const record of records) {
      const event = decode(record)
      if (event.kind === 'outcome') found.push(event.data)
    }
  }
  return found
}

async function answered(count: number): Promise<CommandOutcome[]> {
  await until(`${count} outcomes`, async () => (await outcomes()).length >= count)
  return outcomes()
}

describe('an order', () => {
  it('is carried out by whoever is in charge, durably before it is answered', async () => {
    await given.start()
    const made = (await commander.order(contain, 'ann')) as Containment
    assert.deepEqual([made.id, made.state, made.owner, made.until], [lease, 'active', 'person:ann', start + 10 * minute])
    assert.deepEqual(await given.leases(), [made])
    const released = (await commander.order({ kind: 'release', lease }, 'bob')) as Containment
    assert.deepEqual([released.state, released.endedBy], ['released', 'person:bob'])
    assert.equal(await commander.order({ kind: 'release', lease: 'pool:zz/quarantine-pool' }, 'bob'), null)
    assert.deepEqual(
      (await given.actions()).map(({ state }) => state),
      ['executed', 'reverted'],
    )
  })

  it('that is refused is answered with the code and the words of who refused it', async () => {
    await given.start()
    await assert.rejects(commander.order({ ...contain, action: 'no-such' }, 'ann'), {
      code: 'RESPONDER_UNKNOWN',
      message: /There is no action no-such/,
    })
    await assert.rejects(commander.order({ ...contain, parameters: { requests: -1 } }, 'ann'), { code: 'PARAMETERS_INVALID' })
    await assert.rejects(commander.order({ ...contain, target: 'nobody' }, 'ann'), { code: 'ORDER_INVALID' })
    assert.deepEqual(await given.leases(), [])
  })

  it('approves and declines what waits', async () => {
    const { worker } = await given.start({ guard: GuardOptions.parse({ protected: ['principal:mallory'] }) })
    await given.publish(finding())
    await given.handled()
    const [first, second] = worker.waiting()
    const done = (await commander.order({ kind: 'approve', action: first?.id ?? '' }, 'ann')) as { state: string; note: string }
    assert.deepEqual([done.state, done.note.startsWith('Approved by ann.')], ['executed', true])
    const declined = (await commander.order({ kind: 'decline', action: second?.id ?? '' }, 'ann')) as { state: string }
    assert.equal(declined.state, 'would-have')
    assert.equal(await commander.order({ kind: 'approve', action: '0'.repeat(32) }, 'ann'), null)
  })

  it('about keys carries no secret, and the key works before the promise resolves', async () => {
    const { keys } = await given.start()
    const commands = keyCommands({ keys, clock: () => given.now, order: (order, by) => commander.order(order, by) })
    const created = await commands.create({ principal: 'alice', organization: 'acme' }, 'ann')
    assert.equal(keys.verify(created.key, given.now).ok, true)
    const successors = await commander.order({ kind: 'rotate-key', what: 'alice', overlapMs: minute }, 'ann')
    const claimed = await commands.claim('alice', 'ann')
    assert.deepEqual(successors, [claimed?.keyId])
    assert.equal(keys.verify(claimed?.key ?? '', given.now).ok, true)
    assert.equal(keys.verify(created.key, given.now + minute).ok, false)
    const revoked = (await commander.order({ kind: 'revoke-key', keyId: claimed?.keyId ?? '' }, 'ann')) as { state: string; hash: null }
    assert.deepEqual([revoked.state, revoked.hash], ['revoked', null])
    assert.equal(keys.verify(claimed?.key ?? '', given.now).ok, false)
    assert.equal(await commands.claim('alice', 'ann'), null)
    const secrets = [created.key, claimed?.key ?? ''].map((key) => key.slice(-43))
    for (const topic of ['commands', 'outcomes', 'keys']) {
      for await (const records of given.bus.read(topic, 0, 0)) {
        for (const { value } of records) for (const secret of secrets) assert.ok(!Buffer.from(value ?? []).includes(secret))
      }
    }
  })

  it('that nobody answers says so, and what to do', async (t) => {
    t.mock.timers.enable({ apis: ['setTimeout'] })
    const failing = assert.rejects(commander.order(contain, 'ann'), { code: 'COMMAND_TIMEOUT', message: /within 17 s.*cordon status/s })
    // Until it expires, and what may still be on its way.
    t.mock.timers.tick(17_000)
    await failing
    const [expiring] = await given.all('commands')
    assert.equal(expiring?.expiresAt, start + 15_000)
  })

  it('is not answered by a process that closes', async () => {
    const waiting = assert.rejects(commander.order(contain, 'ann'), { code: 'COMMANDER_CLOSED' })
    await until('the command', async () => (await given.bus.partitions('commands'))[0]?.end === 1)
    await commander.close()
    await waiting
  })

  it('is not answered by a replaced process', async () => {
    const ordered = commander.order(contain, 'ann')
    await until('the command', async () => (await given.bus.partitions('commands'))[0]?.end === 1)
    const [{ id }] = (await given.all('commands')) as [Command]
    const outcome = (result: string) =>
      encode('outcomes', newEvent('outcome', { command: id, ok: true, code: null, error: null, result, at: start }, 'respond', start))
    const term = { role: 'respond', holder: 'b', number: 7, at: start }
    await given.bus.publish([beginTerm('outcomes', term, 'b'), underTerm(outcome('replaced'), 3), underTerm(outcome('in charge'), 7)])
    assert.equal(await ordered, 'in charge')
  })
})

describe('a command', () => {
  it('that is delivered twice is carried out once', async () => {
    const first = await given.start()
    const once = command(contain)
    await send(once, once, command({ kind: 'release', lease }))
    await answered(2)
    await send(once)
    await given.stop(first)
    await given.start()
    await send(once, command({ kind: 'release', lease: 'pool:zz/quarantine-pool' }))
    assert.equal((await answered(3)).length, 3)
    assert.deepEqual(
      (await given.leases()).map(({ state, revision }) => [state, revision]),
      [
        ['active', 0],
        ['released', 1],
      ],
    )
  })

  it('that was read too late is not carried out, nor one that is dated ahead', async () => {
    await given.start()
    await send(
      command(contain, { expiresAt: given.now - 1 }),
      command(contain, { at: given.now + 10 * minute, expiresAt: given.now + 11 * minute }),
    )
    assert.deepEqual(
      (await answered(2)).map(({ ok, code }) => [ok, code]),
      [
        [false, 'COMMAND_EXPIRED'],
        [false, 'COMMAND_EXPIRED'],
      ],
    )
    assert.deepEqual(await given.leases(), [])
  })

  it('that is for another role, or is none, is passed by', async () => {
    await given.start()
    await given.bus.publish([{ topic: 'commands', key: 'x', value: Buffer.from('{'), headers: {}, timestamp: start }])
    await send(command({ kind: 'replay-dead-letter', letter: newEventId(start) }), command({ kind: 'release', lease }))
    assert.equal((await answered(1)).length, 1)
    assert.deepEqual(
      (await given.all('dead-letters')).map(({ topic }) => topic),
      ['commands'],
    )
  })

  // Writes of a containment: the lease, the action, the outcome, the offset.
  for (let writes = 0; writes <= 4; writes++) {
    for (const lastIsWritten of [false, true]) {
      it(`is carried out once where a process dies after ${writes} writes${lastIsWritten ? ' and one that nobody heard of' : ''}`, async () => {
        const bus = new CrashingBus(given.bus, taking + writes, lastIsWritten)
        const dying = await given.start({}, bus)
        const ordered = command(contain)
        await send(ordered)
        await until('the crash or the end', async () => bus.crashed || (await committed()) === 1)
        await given.stop(dying)
        given.now += 5_000
        await given.start()
        const [outcome] = await answered(1)
        await until('the offset', async () => (await committed()) === 1)
        assert.equal((outcome?.result as { until: number } | null)?.until, start + 10 * minute)
        assert.deepEqual(
          (await given.leases()).map(({ state, revision, until: end }) => [state, revision, end]),
          [['active', 0, start + 10 * minute]],
        )
        assert.equal(new Set((await given.actions()).map(({ id, state }) => `${id} ${state}`)).size, 1)
        assert.equal((await outcomes()).length, 1)
      })
    }
  }
})

async function committed(): Promise<number | null> {
  const groups = await given.bus.groups()
  return groups.find(({ group, topic }) => group === 'respond' && topic === 'commands')?.committed ?? null
}
