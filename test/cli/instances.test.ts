import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { View, ViewListener } from '../../bus/view.ts'
import { watchInstances } from '../../cli/instance/instances.ts'
import { type Heartbeat, heartbeatKey } from '../../schemas/index.ts'
import { at, instance } from '../console/ports.ts'

/** A view of heartbeats whose staleness is settable. */
class Heartbeats implements View<Heartbeat> {
  stale = 0
  readonly #values = new Map<string, Heartbeat>()
  readonly #listeners = new Set<ViewListener<Heartbeat>>()
  constructor(...values: readonly Heartbeat[]) {
    for (const value of values) this.#values.set(heartbeatKey(value), value)
  }
  get size(): number {
    return this.#values.size
  }
  get = (key: string) => this.#values.get(key)
  values = () => this.#values.values()
  onChange = (listener: ViewListener<Heartbeat>) => {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }
  staleMs = () => this.stale
  reached = async () => {}
  close = async () => {}
  say(value: Heartbeat): void {
    this.#values.set(heartbeatKey(value), value)
    for (const listener of this.#listeners) listener(heartbeatKey(value), value, null)
  }
}

const hour = 3_600_000

function watch(...before: readonly Heartbeat[]) {
  const heartbeats = new Heartbeats(...before)
  const clock = { now: at }
  const instances = watchInstances(heartbeats, () => clock.now)
  const shown = () =>
    instances.list().map((i) => `${i.role}/${i.instance} ${i.alive ? 'alive' : i.state === 'stopped' ? 'stopped' : 'gone'}`)
  return { heartbeats, clock, instances, shown }
}

describe('instances', () => {
  it('are alive while they speak, gone after three missed heartbeats, and forgotten after an hour', () => {
    const { heartbeats, clock, shown } = watch()
    heartbeats.say(instance({ role: 'node', instance: 'b' }))
    heartbeats.say(instance({ role: 'detect', instance: 'a' }))
    assert.deepEqual(shown(), ['detect/a alive', 'node/b alive'])
    clock.now += 6_000
    assert.deepEqual(shown(), ['detect/a alive', 'node/b alive'], '3 × 2 s')
    clock.now += 1
    heartbeats.say(instance({ role: 'node', instance: 'b', at: clock.now }))
    assert.deepEqual(shown(), ['detect/a gone', 'node/b alive'])
    clock.now = at + hour
    assert.deepEqual(shown(), ['detect/a gone', 'node/b gone'])
    clock.now += 1
    assert.deepEqual(shown(), ['node/b gone'])
    clock.now += hour
    assert.deepEqual(shown(), [])
  })

  it('that stopped in order are not gone', () => {
    const { heartbeats, shown } = watch()
    heartbeats.say(instance({ role: 'node', instance: 'b', state: 'stopped' }))
    assert.deepEqual(shown(), ['node/b stopped'])
  })

  for (const [what, off] of [
    ['behind', -hour],
    ['ahead', hour],
  ] as const) {
    it(`whose clock is an hour ${what} are judged by ours`, () => {
      const { heartbeats, clock, shown } = watch()
      heartbeats.say(instance({ role: 'node', instance: 'b', at: clock.now + off }))
      assert.deepEqual(shown(), ['node/b alive'])
      clock.now += 6_001
      assert.deepEqual(shown(), ['node/b gone'])
    })
  }

  it('that spoke before we listened are judged by what they said', () => {
    const { clock, shown } = watch(
      instance({ role: 'node', instance: 'lately', at: at - 1_000 }),
      instance({ role: 'node', instance: 'minutes-ago', at: at - 60_000 }),
      instance({ role: 'node', instance: 'yesterday', at: at - 24 * hour }),
      instance({ role: 'node', instance: 'tomorrow', at: at + 24 * hour }),
    )
    assert.deepEqual(shown(), ['node/lately alive', 'node/minutes-ago gone', 'node/tomorrow alive'])
    clock.now += 6_001
    assert.deepEqual(shown(), ['node/lately gone', 'node/minutes-ago gone', 'node/tomorrow gone'])
  })

  it('are not declared gone because the bus is', () => {
    const { heartbeats, clock, shown } = watch(instance({ role: 'node', instance: 'b', at }))
    clock.now += 30_000
    heartbeats.stale = 30_000
    assert.deepEqual(shown(), ['node/b alive'])
    heartbeats.stale = 20_000
    assert.deepEqual(shown(), ['node/b gone'], 'ten seconds of silence were heard for certain')
  })

  it('of the role node go by the name that they acknowledge under', () => {
    const { heartbeats, clock, instances } = watch()
    heartbeats.say(instance({ role: 'node', instance: 'node-1' }))
    heartbeats.say(instance({ role: 'node', instance: 'host-77', detail: { node: 'node-2' } }))
    heartbeats.say(instance({ role: 'node', instance: 'node-3', state: 'stopped' }))
    heartbeats.say(instance({ role: 'detect', instance: 'detect-1' }))
    assert.deepEqual([...instances.liveNodes()].sort(), ['node-1', 'node-2'])
    clock.now += 6_001
    assert.deepEqual(instances.liveNodes(), [])
  })
})
