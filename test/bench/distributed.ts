import { setTimeout as sleep } from 'node:timers/promises'
import { decode } from '../../bus/codec.ts'
import { partitionOf } from '../../bus/partitioner.ts'
import type { EventBus } from '../../bus/port.ts'
import type { ContainmentView, InstanceStatus } from '../../console/port.ts'
import { snapshotTopic } from '../../schemas/index.ts'
import { type Deployment, startDeployment } from '../faults/deployment.ts'
import { emptyLedger, type Load, startLoad } from '../faults/load.ts'
import { quantile } from './quantile.ts'

export interface Latency {
  readonly p50: number
  readonly p99: number
  readonly p999: number
}

export interface RateBench {
  /** What was asked for, and what came through: flows and the two events of each request, a second. */
  readonly asked: number
  readonly eventsPerSecond: number
  /** From the log's append (event time for ClickHouse is the sender's, on the same machine) to the row's storing, ms. */
  readonly toClickHouseMs: Latency
  /** From the deciding request's arrival to the last node's acknowledgement, ms; and of how many attacks. */
  readonly toContainmentMs: Latency
  readonly attacks: number
}

export interface DistributedBench {
  readonly processes: number
  readonly rates: readonly RateBench[]
  /** How late a finding was when the owner of its partition had just been killed, worst, against undisturbed ones, ms. */
  readonly detectKilled: { readonly undisturbedMs: number; readonly delayedMs: number }
  /** From the kill of who is in charge to an order carried out by another, ms. */
  readonly respondKilledMs: number
  readonly snapshots: { readonly partitions: number; readonly bytes: number; readonly writtenBytesPerMinute: number }
}

const names = ['node-1', 'node-2', 'ingest-1', 'detect-1', 'detect-2', 'respond-1', 'respond-2', 'console-1']

const attacksEach = 6

/** Every role a process, over three brokers and a ClickHouse engine, all of them and the load on this machine. */
export async function benchDistributed(short: boolean): Promise<DistributedBench> {
  const deployment = await startDeployment({ names, say: () => {} })
  try {
    const bus = await deployment.openBus('bench')
    try {
      const rates: RateBench[] = []
      for (const rate of [1_000, 5_000]) rates.push(await atRate(deployment, rate, short ? 10_000 : 45_000))
      const { bytes, partitions, written, sinceMs } = await snapshotCost(bus)
      return {
        processes: names.length,
        rates,
        snapshots: { partitions, bytes, writtenBytesPerMinute: Math.round((written / sinceMs) * 60_000) },
        detectKilled: await killDetect(deployment, bus),
        respondKilledMs: await killRespond(deployment),
      }
    } finally {
      await bus.close()
    }
  } finally {
    await deployment.stop()
  }
}

async function keyOf({ api }: Deployment, principal: string): Promise<string> {
  return (await api.post<{ key: string }>('/api/keys', { principal, organization: null, expiresAt: null })).key
}

async function atRate(deployment: Deployment, rate: number, forMs: number): Promise<RateBench> {
  const { roles, token, api } = deployment
  const requestsPerSecond = Math.min(150, rate / 10)
  const keys = await Promise.all(Array.from({ length: 8 }, (_, i) => keyOf(deployment, `reader-${rate}-${i}`)))
  const ledger = emptyLedger()
  const flowsPerSecond = rate - 2 * requestsPerSecond
  const load: Load = startLoad({ roles, token, keys, flowsPerSecond, requestsPerSecond, seed: rate, ledger })
  const began = Date.now()
  let attacks = 0
  while (Date.now() - began < forMs) {
    load.attack(await keyOf(deployment, `prober-${rate}-${attacks}`), rate * 1_000 + attacks)
    attacks++
    await sleep(500)
  }
  const seconds = (Date.now() - began) / 1_000
  await load.stop()
  await handled(deployment)
  const answers = [...ledger.answers.values()].reduce((sum, { size }) => sum + size, 0)
  const { rows } = await api.post<{ rows: Record<string, unknown>[] }>('/api/query', {
    sql: `SELECT quantilesExact(0.5, 0.99, 0.999)(toUnixTimestamp64Milli(ingested) - toUnixTimestamp64Milli(time)) AS q FROM flows WHERE ingested >= fromUnixTimestamp64Milli(${began})`,
  })
  const [p50 = Number.NaN, p99 = Number.NaN, p999 = Number.NaN] = ((rows[0]?.q ?? []) as (number | string)[]).map(Number)
  const { containments } = await api.get<{ containments: ContainmentView[] }>('/api/containments')
  const times = containments.flatMap((c) =>
    c.action === 'throttle-principal' && c.target.startsWith(`principal:prober-${rate}-`) && c.enforcedAfterMs !== null
      ? [c.enforcedAfterMs]
      : [],
  )
  return {
    asked: rate,
    eventsPerSecond: Math.round((ledger.flows.size + 2 * answers) / seconds),
    toClickHouseMs: { p50, p99, p999 },
    toContainmentMs: { p50: quantile(times, 0.5), p99: quantile(times, 0.99), p999: quantile(times, 0.999) },
    attacks: times.length,
  }
}

async function handled({ api }: Deployment): Promise<void> {
  for (let quiet = 0; quiet < 3; ) {
    const { lag } = await api.get<InstanceStatus>('/api/status')
    quiet = lag !== null && lag.sink < 200 && lag.detect < 200 && lag.respond === 0 ? quiet + 1 : 0
    await sleep(300)
  }
}

/** From the deciding event of each finding to its being on the log, worst: undisturbed, and when the owner was killed just before. */
async function killDetect(deployment: Deployment, bus: EventBus): Promise<DistributedBench['detectKilled']> {
  const delay = async (n: number, victim?: string): Promise<number> => {
    const { roles, token } = deployment
    const seen = new Map<string, number>()
    const tail = await bus.tail({
      topic: 'findings',
      from: 'end',
      onRecords: (records) => {
        for (const record of records) {
          const event = decode(record)
          if (event.kind !== 'finding') continue
          for (const principal of event.data.principals) if (!seen.has(principal)) seen.set(principal, Date.now() - event.data.time)
        }
      },
    })
    const keys = await Promise.all(Array.from({ length: attacksEach }, (_, i) => keyOf(deployment, `killing-${n}-${i}`)))
    const load = startLoad({ roles, token, keys: [], flowsPerSecond: 200, requestsPerSecond: 0, seed: n, ledger: emptyLedger() })
    if (victim !== undefined) await roles.get(victim)?.kill()
    keys.forEach((key, i) => load.attack(key, n * 100 + i))
    for (const deadline = Date.now() + 20_000; seen.size < keys.length && Date.now() < deadline; ) await sleep(50)
    await load.stop()
    await tail.close()
    // An attack that starts from two images of one class is none; of no attack at all there is no figure.
    return seen.size === 0 ? Number.NaN : Math.max(...seen.values())
  }
  const undisturbedMs = await delay(0)
  const { instances } = await deployment.api.get<InstanceStatus>('/api/status')
  const partition = partitionOf('digits', (await bus.partitions('fingerprints')).length)
  const owner = instances.find(
    ({ role, alive, assignments }) =>
      role === 'detect' && alive && assignments.some((a) => a.topic === 'fingerprints' && a.partition === partition && !a.standby),
  )
  if (owner === undefined) throw new Error(`nobody has fingerprints/${partition}`)
  const delayedMs = await delay(1, owner.instance)
  await deployment.roles.get(owner.instance)?.start()
  return { undisturbedMs, delayedMs }
}

async function killRespond(deployment: Deployment): Promise<number> {
  const { api, roles } = deployment
  const status = await api.get<InstanceStatus>('/api/status')
  const inCharge = status.instances.find(({ role, alive, detail }) => role === 'respond' && alive && detail.inCharge === true)
  const victim = roles.get(inCharge?.instance ?? '')
  if (victim === undefined) throw new Error('nobody is in charge')
  await victim.kill()
  const began = performance.now()
  await api.post('/api/containments', {
    target: 'principal:nobody',
    action: 'throttle-principal',
    parameters: { requests: 1, windowMs: 60_000 },
    forMs: 60_000,
    reason: 'to see whether it is done',
    by: 'bench',
  })
  return Math.round(performance.now() - began)
}

async function snapshotCost(bus: EventBus): Promise<{ partitions: number; bytes: number; written: number; sinceMs: number }> {
  const view = new Map<string, { bytes: number; at: number }>()
  let written = 0
  let first = Number.POSITIVE_INFINITY
  let last = 0
  for await (const records of bus.read(snapshotTopic.name, 0, 0)) {
    for (const { key, value, timestamp } of records) {
      written += value?.length ?? 0
      first = Math.min(first, timestamp)
      last = Math.max(last, timestamp)
      if (key !== null) view.set(key, { bytes: value?.length ?? 0, at: timestamp })
    }
  }
  const newest = new Map<string, { bytes: number; at: number }>()
  for (const [key, { bytes, at }] of view) {
    const [group, topic, partition, slot] = key.split('/')
    const place = `${group}/${topic}/${partition}/${slot}`
    const known = newest.get(place)
    newest.set(place, { bytes: (known?.bytes ?? 0) + bytes, at: Math.max(at, known?.at ?? 0) })
  }
  const byPartition = Map.groupBy(newest, ([place]) => place.slice(0, place.lastIndexOf('/')))
  const bytes = [...byPartition.values()].reduce((sum, list) => sum + Math.max(...list.map(([, one]) => one.bytes)), 0)
  return { partitions: byPartition.size, bytes, written, sinceMs: Math.max(1, last - first) }
}
