import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { after, afterEach, before, beforeEach, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { Traffic } from './traffic.ts'

const seed = Number(process.env.SEED ?? randomInt(2 ** 31))
console.log(`seed: ${seed}`)

/** Brokers notice within 3 s that one is gone, and elect; clients have to follow at once. */
const replacedMs = 12_000

describe('a cluster of three, under faults', { timeout: 560_000 }, () => {
  let cluster: Cluster
  let buses: EventBus[]
  let traffic: Traffic
  let runs = 0
  const unhandled: unknown[] = []
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason)
  before(async () => {
    process.on('unhandledRejection', onUnhandled)
    cluster = await startCluster({ brokers: 3 })
  })
  after(async () => {
    await cluster?.stop()
    process.off('unhandledRejection', onUnhandled)
  })
  beforeEach(async () => {
    buses = await Promise.all([0, 1, 2, 3].map(() => createKafkaBus({ brokers: cluster.brokers, clientId: 'faults' })))
    traffic = await Traffic.start(buses, `faults-${runs++}`)
    traffic.mark()
  })
  afterEach(async () => {
    traffic.abandon()
    await Promise.all(buses.map((bus) => bus.close()))
    assert.deepEqual(unhandled, [])
  })

  /** Checks the readers' history, and says how long they were without news. */
  async function finish(what: string): Promise<void> {
    await traffic.settled()
    const silences = { published: traffic.published, consumed: traffic.consumed, tailed: traffic.tailed }
    const longest = Object.entries(silences).map(([name, sight]) => [name, Math.round(sight.longestSilence)] as const)
    const stalest = Math.round(traffic.stalest)
    await traffic.finish()
    console.log(
      `${what}: ${JSON.stringify({ ...traffic.summary, silenceMs: Object.fromEntries(longest), stalest, errors: traffic.errors.length })}`,
    )
    for (const [name, silence] of longest) assert.ok(silence < replacedMs, `${name}: nothing for ${silence} ms`)
  }

  const victim = (): number => (seed + runs) % 3

  test('survives the kill of a broker, and its return', async () => {
    const node = cluster.nodes[victim()]
    await node?.kill()
    await traffic.settled()
    await node?.start()
    await cluster.waitReady()
    await finish('kill')
  })

  test('survives a broker that hangs, and wakes up', async () => {
    const node = cluster.nodes[victim()]
    // They know the leaders of before, and ask nobody meanwhile.
    const onlookers = await Promise.all([0, 1, 2, 3].map((i) => createKafkaBus({ brokers: cluster.brokers, clientId: `onlooker-${i}` })))
    buses.push(...onlookers)
    for (const bus of onlookers) await traffic.ends(bus)
    node?.pause()
    await delay(10_000)
    const published = traffic.count
    node?.resume()
    // The broker still takes itself for the leader.
    for (const bus of onlookers) {
      const ends = await traffic.ends(bus)
      assert.ok(ends >= published, `the log ends after ${ends} records, and ${published} were taken`)
    }
    await cluster.waitReady()
    assert.ok(traffic.stalest > 2_000, 'the tail knows that it could not know')
    await finish('pause')
  })

  test('survives the kill of the controller', async () => {
    const node = cluster.nodes[(await cluster.controller()) - 1]
    await node?.kill()
    await traffic.settled()
    await node?.start()
    await cluster.waitReady()
    await finish('kill of the controller')
  })

  test('survives a rolling restart', async () => {
    for (const node of cluster.nodes) {
      await node.stop()
      await node.start()
      await cluster.waitReady()
    }
    await finish('rolling restart')
  })

  test('reaches what has a leader, while a partition has none', async () => {
    const single = await createKafkaBus({ brokers: cluster.brokers, clientId: 'single', replication: 1, minInsyncReplicas: 1 })
    buses.push(single)
    const [bus] = buses as [EventBus]
    const record = (topic: string, partition: number) => ({
      topic,
      partition,
      key: null,
      value: Buffer.from('x'),
      headers: {},
      timestamp: Date.now(),
    })
    // One on each broker.
    const alone = `alone-${runs}`
    await single.ensureTopics([{ name: alone, partitions: 3, retentionMs: 86_400_000 }])
    await bus.publish([0, 1, 2].map((partition) => record(alone, partition)))
    const node = cluster.nodes[victim()]
    await node?.kill()
    await traffic.settled()
    const published = await Promise.allSettled([0, 1, 2].map((partition) => bus.publish([record(alone, partition)])))
    assert.equal(published.filter(({ status }) => status === 'fulfilled').length, 2)
    await node?.start()
    await cluster.waitReady()
    await bus.publish([0, 1, 2].map((partition) => record(alone, partition)))
    await finish('a partition without a leader')
  })

  test('starts while a broker hangs', async () => {
    const node = cluster.nodes[victim()]
    node?.pause()
    const began = performance.now()
    const late = await createKafkaBus({ brokers: cluster.brokers, clientId: 'late' })
    try {
      assert.ok((await late.groups()).length > 0)
      assert.equal((await late.partitions(`faults-${runs - 1}`)).length, 4)
      console.log(`start while a broker hangs: ${Math.round(performance.now() - began)} ms`)
      assert.ok(performance.now() - began < 20_000)
    } finally {
      node?.resume()
      await late.close()
    }
    await cluster.waitReady()
    await finish('start')
  })
})
