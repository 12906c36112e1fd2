import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { decode, encode } from '../../bus/codec.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { EventBus, Tail } from '../../bus/port.ts'
import { openView, type View } from '../../bus/view.ts'
import { replay } from '../../pipeline/replay.ts'
import { type EventOf, type Heartbeat, snapshotTopic, topics } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import { observation } from '../contracts/observations.ts'
import { type Broker, startBroker } from './broker.ts'
import { flowDetectors } from './host-detectors.ts'

const workloads = Number(process.env['WORKLOADS'] ?? 100_000)
const perSecond = 200
const prefix = `host-${randomBytes(4).toString('hex')}.`
const child = fileURLToPath(new URL('host-child.ts', import.meta.url))

describe('two detect processes on Kafka', () => {
  let broker: Broker
  let bus: EventBus
  let heartbeats: View<Heartbeat>
  let findings: Tail
  const children = new Map<string, ChildProcess>()
  /** When each finding was first on the log, and when the flow was that it states. */
  const seen = new Map<string, number>()
  const sent = new Map<string, number>()
  let n = 0

  before(async () => {
    broker = await startBroker()
    bus = await createKafkaBus({ brokers: broker.brokers, clientId: 'test', prefix })
    const { flows, findings: found, heartbeats: beats } = topics
    await bus.ensureTopics([flows, found, beats, topics['dead-letters'], snapshotTopic])
    heartbeats = await openView(bus, 'heartbeats')
    findings = await bus.tail({
      topic: found.name,
      from: 'start',
      onRecords: (records) => {
        for (const record of records) {
          const event = decode(record)
          if (event.kind === 'finding' && event.data.decidedBy !== null && !seen.has(event.data.decidedBy)) {
            seen.set(event.data.decidedBy, Date.now())
          }
        }
      },
    })
  })
  after(async () => {
    for (const process of children.values()) process.kill('SIGKILL')
    await findings?.close()
    await heartbeats?.close()
    await bus?.close()
    await broker?.stop()
  })

  function start(name: string): void {
    const process = spawn('node', [child, broker.brokers.join(','), prefix, name], { stdio: ['ignore', 'ignore', 'inherit'] })
    children.set(name, process)
  }

  function assignments(name: string, standby: boolean): Heartbeat['assignments'] {
    const newest = heartbeats.get(`detect/${name}`)
    return newest?.assignments.filter((each) => each.standby === standby && each.end > 0 && each.offset >= each.end - 100) ?? []
  }

  async function load(ms: number): Promise<void> {
    const end = Date.now() + ms
    while (Date.now() < end) {
      const from = Date.now()
      const flows = Array.from({ length: perSecond / 10 }, () => observation('flow', ++n, from, { workload: `probe-${n % 50}` }))
      for (const { id } of flows) sent.set(id, from)
      await bus.publish(flows.map((flow) => encode('flows', flow)))
      await delay(Math.max(0, 100 - (Date.now() - from)))
    }
  }

  /** Longest time from a flow to the finding that states it, milliseconds; all must have been stated. */
  async function worst(): Promise<number> {
    await until('every finding', () => [...sent.keys()].every((id) => seen.has(id)), 30_000)
    const delays = [...sent].map(([id, at]) => (seen.get(id) ?? 0) - at)
    sent.clear()
    return Math.max(...delays)
  }

  async function check(): Promise<void> {
    const expected = new Set<string>()
    for await (const { id, revision, detector } of replay({ bus, detectors: flowDetectors, topics: ['flows'] })) {
      if (detector !== 'blindness') expected.add(`${id}/${revision}`)
    }
    const published = new Set<string>()
    for await (const records of bus.read('findings', 0, 0)) {
      for (const event of records.map(decode) as EventOf<'finding'>[]) {
        if (event.data.detector !== 'blindness') published.add(`${event.data.id}/${event.data.revision}`)
      }
    }
    assert.deepEqual([...published].sort(), [...expected].sort())
  }

  test(`with ${workloads} keys of state, killing one loses no finding and delays none by 5 s`, async (t) => {
    for (let from = 0; from < workloads; from += 2_000) {
      const now = Date.now()
      const flows = Array.from({ length: Math.min(2_000, workloads - from) }, (_, i) =>
        observation('flow', ++n, now, { workload: `workload-${from + i}` }),
      )
      await bus.publish(flows.map((flow) => encode('flows', flow)))
    }
    const begun = Date.now()
    start('a')
    start('b')
    const ready = () => ['a', 'b'].every((name) => assignments(name, false).length === 2 && assignments(name, true).length === 2)
    await until('each to own two partitions and follow two', ready, 120_000)
    t.diagnostic(`ready after ${Date.now() - begun} ms`)
    await load(5_000)
    t.diagnostic(`worst delay undisturbed: ${await worst()} ms`)

    const loading = load(15_000)
    await delay(3_000)
    children.get('a')?.kill('SIGKILL')
    const killed = Date.now()
    await until('the takeover', () => assignments('b', false).length === 4, 30_000)
    t.diagnostic(`takeover ${Date.now() - killed} ms after the kill, by the heartbeat`)
    await loading
    const delayMs = await worst()
    t.diagnostic(`worst delay with a kill: ${delayMs} ms; stalls ${JSON.stringify(heartbeats.get('detect/b')?.detail)}`)
    assert.ok(delayMs < 5_000, `a finding came ${delayMs} ms late`)
    await check()
  })

  test('one that stands still is stood in for, and does no harm when it goes on', async (t) => {
    start('c')
    const ready = () => ['b', 'c'].every((name) => assignments(name, false).length === 2 && assignments(name, true).length === 2)
    await until('each to own two partitions and follow two', ready, 120_000)
    const loading = load(18_000)
    await delay(2_000)
    const process = children.get('b')
    process?.kill('SIGSTOP')
    await delay(9_000)
    process?.kill('SIGCONT')
    await loading
    const delayMs = await worst()
    t.diagnostic(`worst delay with a pause of 9 s: ${delayMs} ms`)
    assert.ok(delayMs < 5_000, `a finding came ${delayMs} ms late`)
    await check()
  })

  test('one that joins gets its share at once, and stops in order', async (t) => {
    const loading = load(12_000)
    await delay(1_000)
    start('d')
    await until('its share', () => assignments('d', false).length > 0, 60_000)
    await loading
    const delayMs = await worst()
    t.diagnostic(`worst delay with a member that joins: ${delayMs} ms`)
    assert.ok(delayMs < 5_000, `a finding came ${delayMs} ms late`)
    for (const process of children.values()) {
      process.kill('SIGKILL')
      if (process.exitCode === null && process.signalCode === null) await once(process, 'exit')
    }
    await check()
  })
})
