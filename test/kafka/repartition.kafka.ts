import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { decode, encode } from '../../bus/codec.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import { partitionOf } from '../../bus/partitioner.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView, type View } from '../../bus/view.ts'
import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import { replay } from '../../pipeline/replay.ts'
import type { EventOf, Finding, Heartbeat, Observation } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import { observation } from '../contracts/observations.ts'
import { egressScenario } from '../contracts/scenarios/egress-anomaly.ts'
import { RoleProcess } from '../faults/role-process.ts'
import { hosted } from '../pipeline/host-toys.ts'
import { MemoryBus, MemoryLog } from '../pipeline/memory-bus.ts'
import { type Broker, startBroker } from './broker.ts'
import { cordon, lines } from './cordon.ts'

const prefix = `repartition-${randomBytes(4).toString('hex')}.`
const workloads = ['serve-a', 'serve-b', 'serve-c', 'serve-d']
/** What a publisher knows of a topic may be so old before it asks again, milliseconds. */
const idleMs = 21_000

/** The same upload out of several workloads, the last flow of all being of now. */
function flows(): EventOf<'flow'>[] {
  const scenario = egressScenario()
  const one = [...(scenario.warmup?.() ?? []), ...scenario.attack()] as (Observation & EventOf<'flow'>)[]
  const shift = Date.now() - Math.max(...one.map(({ time }) => time))
  return workloads
    .flatMap((workload) => one.map((event) => ({ time: event.time + shift, data: { ...event.data, workload } })))
    .sort((a, b) => a.time - b.time)
    .map(({ time, data }, n) => observation('flow', n, time, data))
}

function told(findings: readonly Finding[]): string[] {
  const ids = findings.filter(({ detector }) => detector === egressAnomaly.id).map(({ id, revision }) => `${id}/${revision}`)
  return [...new Set(ids)].sort()
}

describe('cordon repartition on Kafka', () => {
  let broker: Broker
  let bus: EventBus
  /** Of a sender that has nothing to say while the topic grows. */
  let idle: EventBus
  let heartbeats: View<Heartbeat>
  let detect: RoleProcess
  const config = (partitions: number) => ({
    bus: { adapter: 'kafka', brokers: [...broker.brokers], prefix, partitions: { flows: partitions } },
    heartbeatMs: 500,
  })

  function detectProcess(name: string, partitions: number): RoleProcess {
    const environment = {
      CORDON_BUS_ADAPTER: 'kafka',
      CORDON_BUS_BROKERS: JSON.stringify(broker.brokers),
      CORDON_BUS_PREFIX: prefix,
      CORDON_BUS_PARTITIONS: JSON.stringify({ flows: partitions }),
      CORDON_HEARTBEAT_MS: '500',
      CORDON_INSTANCE: name,
    }
    return new RoleProcess({ role: 'detect', name, environment })
  }

  before(async () => {
    broker = await startBroker()
    const ran = await cordon(config(4), ['topics', 'apply'])
    assert.equal(ran.code, 0, ran.err)
    bus = await createKafkaBus({ brokers: broker.brokers, clientId: 'test', prefix })
    idle = await createKafkaBus({ brokers: broker.brokers, clientId: 'idle', prefix })
    heartbeats = await openView(bus, 'heartbeats')
  })
  after(async () => {
    await detect?.kill()
    await heartbeats?.close()
    await idle?.close()
    await bus?.close()
    await broker?.stop()
  })

  async function atEnd(name: string, partitions: number): Promise<void> {
    await until(
      `${name} at the end`,
      async () => {
        const ends = new Map((await bus.partitions('flows')).map(({ partition, end }) => [partition, end]))
        const owned = heartbeats.get(`detect/${name}`)?.assignments.filter(({ topic, standby }) => topic === 'flows' && !standby) ?? []
        return owned.length === partitions && owned.every(({ partition, offset }) => offset >= (ends.get(partition) ?? 0))
      },
      60_000,
    )
  }

  async function findings(): Promise<Finding[]> {
    const all: Finding[] = []
    for await (const records of bus.read('findings', 0, 0))
      for (const event of records.map(decode)) if (event.kind === 'finding') all.push(event.data)
    return all
  }

  it('moves an upload half out to other partitions, and its findings are those without it', async (t) => {
    const events = flows()
    const log = new MemoryLog([{ name: 'flows', partitions: 4 }])
    await new MemoryBus(log).publish(events.map((event) => encode('flows', event)))
    const expected: Finding[] = []
    const undisturbed = replay({
      bus: new MemoryBus(log),
      detectors: [hosted(egressAnomaly)],
      topics: ['flows'],
      aheadMs: 365 * 86_400_000,
    })
    for await (const finding of undisturbed) expected.push(finding)
    assert.ok(told(expected).length > 0)

    const middle = events.length - 260
    const records = events.map((event) => encode('flows', event))
    await idle.publish(records.slice(0, 1))
    const published = performance.now()
    await bus.publish(records.slice(1, middle))
    detect = detectProcess('before', 4)
    await detect.start()
    await atEnd('before', 4)

    const early = await cordon(config(4), ['repartition', 'flows', '--partitions', '8', '--json'])
    assert.equal(early.code, 1)
    assert.match(early.err, /DETECT_RUNNING.*before/)
    await detect.stop()

    const going = cordon(config(4), ['repartition', 'flows', '--partitions', '8', '--settle', '15s', '--json'])
    // Some before it grows, some while senders notice.
    for (let from = middle; from < middle + 130; from += 10) {
      await bus.publish(records.slice(from, from + 10))
      await delay(500)
    }
    const ran = await going
    assert.equal(ran.code, 0, ran.err)
    const [did] = lines<{ from: number; to: number; keysMoved: number; entries: number; tookMs: number }>(ran)
    t.diagnostic(ran.out.trim())
    assert.deepEqual([did?.from, did?.to, did?.entries], [4, 8, workloads.length])
    assert.equal(did?.keysMoved, workloads.filter((name) => partitionOf(name, 4) !== partitionOf(name, 8)).length)

    // It has not asked for the topic since before it grew.
    await delay(Math.max(0, idleMs - (performance.now() - published)))
    const [first] = await idle.publish(records.slice(middle + 130, middle + 140))
    assert.equal(first?.partition, partitionOf(records[middle + 130]?.key ?? '', 8))
    await bus.publish(records.slice(middle + 140))
    detect = detectProcess('after', 8)
    await detect.start()
    await atEnd('after', 8)
    await detect.stop()
    assert.deepEqual(told(await findings()), told(expected))
  })
})
