import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { Fence } from '../../bus/fence.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import { openView, type View } from '../../bus/view.ts'
import { openCommander } from '../../pipeline/commands/commander.ts'
import { Charge } from '../../pipeline/response/charge.ts'
import { openLeases } from '../../pipeline/response/lease-keeper.ts'
import { responders } from '../../responders/registry.ts'
import { type Action, type Containment, type TopicName, topics } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import { PausableBus } from '../pipeline/pausable-bus.ts'
import { log } from '../pipeline/response-given.ts'
import { finding, hash } from '../responders/given.ts'
import { type Broker, startBroker } from './broker.ts'

const program = fileURLToPath(new URL('respond-child.ts', import.meta.url))
/** A session of 6 s that nobody ends, the group's rebalance, and taking charge. */
const takeoverMs = 20_000

let broker: Broker
let bus: EventBus
let leases: View<Containment>
const prefix = `respond-${randomBytes(4).toString('hex')}.`
const children = new Set<Child>()

before(async () => {
  broker = await startBroker()
  bus = await createKafkaBus({ brokers: broker.brokers, clientId: 'test', prefix })
  await bus.ensureTopics(Object.values(topics))
  leases = await openView(bus, 'containments')
})
after(async () => {
  for (const child of children) child.kill('SIGKILL')
  await leases?.close()
  await bus?.close()
  await broker?.stop()
})

/** A process of the role, as its own words tell. */
class Child {
  readonly name: string
  readonly #process: ChildProcess
  #inCharge = false

  constructor(name: string) {
    this.name = name
    this.#process = spawn(process.execPath, [program, broker.brokers.join(','), prefix, name], { stdio: ['ignore', 'pipe', 'inherit'] })
    this.#process.stdout?.on('data', (text: Buffer) => {
      const last = text.toString().trim().split('\n').at(-1)
      this.#inCharge = last === 'in charge'
    })
    children.add(this)
  }

  get inCharge(): boolean {
    return this.#inCharge
  }

  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT' | 'SIGTERM'): void {
    if (signal === 'SIGKILL') this.#inCharge = false
    this.#process.kill(signal)
  }

  async end(): Promise<void> {
    children.delete(this)
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.kill('SIGKILL')
    await ended
  }
}

let named = 0
/** Findings about somebody new each. */
async function publish(count: number): Promise<string[]> {
  const names = Array.from({ length: count }, () => `mallory-${named++}`)
  const now = Date.now()
  const findings = names.map((name) => finding({ id: hash(prefix + name), principals: [name], confidence: 0.8, time: now }))
  await bus.publish(findings.map((one) => encode('findings', newEvent('finding', one, 'detect', now))))
  return names
}

function contained(names: readonly string[]): boolean {
  return names.every((name) => leases.get(`principal:${name}/throttle-principal`)?.state === 'active')
}

async function counting(topic: TopicName): Promise<BusRecord[]> {
  const found: BusRecord[] = []
  const fence = new Fence(topic)
  const [state] = await bus.partitions(topic)
  for await (const records of bus.read(topic, 0, state?.start ?? 0))
    for (const record of records) if (fence.judge(record) === 'counts') found.push(record)
  return found
}

/** Every action about them is executed once, and every lease of them granted once. */
async function checkOnce(names: readonly string[]): Promise<void> {
  const actions = (await counting('actions')).map((record) => decode(record).data as Action)
  for (const name of names) {
    const of = actions.filter(({ target }) => target === `principal:${name}`)
    assert.deepEqual(
      of.map(({ state }) => state),
      ['executed'],
      name,
    )
    assert.equal(leases.get(`principal:${name}/throttle-principal`)?.revision, 0, name)
  }
}

async function both(): Promise<{ first: Child; second: Child }> {
  const [a, b] = [new Child(`a${named}`), new Child(`b${named}`)]
  await until('one to be in charge', () => a.inCharge || b.inCharge, 60_000)
  return a.inCharge ? { first: a, second: b } : { first: b, second: a }
}

describe('two processes of the role', () => {
  test('one of them is killed: the other takes over, and nothing is executed twice', async () => {
    const { first, second } = await both()
    const names = await publish(20)
    await until('the first ones', () => contained(names.slice(0, 5)), 20_000)
    names.push(...(await publish(200)))
    first.kill('SIGKILL')
    const killed = performance.now()
    await until('the other', () => second.inCharge, takeoverMs)
    console.log(`taken over ${Math.round(performance.now() - killed)} ms after the kill`)
    names.push(...(await publish(20)))
    await until('all to be contained', () => contained(names), 30_000)
    await until('all to be on record', async () => (await counting('actions')).length >= names.length, 20_000)
    await checkOnce(names)
    const commander = await openCommander({ bus, clock: Date.now, log })
    const before = performance.now()
    const released = (await commander.order({ kind: 'release', lease: `principal:${names[0]}/throttle-principal` }, 'ann')) as Containment
    console.log(`an order took ${Math.round(performance.now() - before)} ms`)
    assert.equal(released.state, 'released')
    await commander.close()
    await Promise.all([first.end(), second.end()])
  })

  test('one of them is stopped and goes on: the other took over, and what it writes late does not count', async () => {
    const { first, second } = await both()
    const names = await publish(20)
    await until('the first ones', () => contained(names.slice(0, 5)), 20_000)
    // It is stopped in the middle of these.
    names.push(...(await publish(500)))
    await until('some of them', () => contained(names.slice(20, 25)), 20_000)
    first.kill('SIGSTOP')
    const stopped = performance.now()
    await until('the other', () => second.inCharge, takeoverMs)
    console.log(`taken over ${Math.round(performance.now() - stopped)} ms after the stop`)
    names.push(...(await publish(20)))
    first.kill('SIGCONT')
    await until('all to be contained', () => contained(names), 30_000)
    await until('all to be on record', async () => (await counting('actions')).length >= names.length, 20_000)
    await until('the first to hear of it', () => first.inCharge !== second.inCharge, takeoverMs)
    await checkOnce(names)
    await Promise.all([first.end(), second.end()])
  })

  test('a replaced process writes late: nobody counts it, and what it wrote over is written again', async () => {
    const paused = new PausableBus(bus)
    const charge = await Charge.open({ bus: paused, clock: Date.now, holder: 'late', log })
    const keeper = await openLeases({ bus: paused, charge, clock: Date.now, source: 'late', responders, log })
    await charge.take()
    const [name] = await publish(1)
    const id = `principal:${name}/throttle-principal`
    const ghost = 'principal:ghost/throttle-principal'
    const request = { target: 'principal:ghost', action: 'throttle-principal', parameters: { requests: 1 }, reason: '', owner: 'person:z' }
    paused.stop()
    const late = keeper.grant({ ...request, incident: null, until: Date.now() + 600_000, decidedAt: null })
    const { first, second } = await both()
    await until('the lease', () => leases.get(id) !== undefined, 20_000)
    await paused.goOn()
    await Promise.allSettled([late])
    const newest = async () => {
      const [state] = await bus.partitions('containments')
      let last: BusRecord | undefined
      for await (const records of bus.read('containments', 0, state?.start ?? 0))
        last = records.findLast(({ key }) => key === ghost) ?? last
      return last
    }
    await until('the repair', async () => (await newest())?.value === null, 10_000)
    assert.equal(leases.get(ghost), undefined)
    await until('the late one to hear of it', () => !charge.held)
    await keeper.close()
    await charge.close()
    await Promise.all([first.end(), second.end()])
  })
})
