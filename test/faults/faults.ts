import { setTimeout as sleep } from 'node:timers/promises'
import type { EventBus } from '../../bus/port.ts'
import type { Random } from '../attacks/random.ts'
import { pass, type Fault as StoreFault } from '../clickhouse/proxy.ts'
import type { Deployment } from './deployment.ts'
import type { RoleProcess } from './role-process.ts'

/** What was done to a deployment, and when; times by this machine's clock. */
export interface Injury {
  readonly fault: string
  /** The process, broker or part that it was done to. */
  readonly victim: string
  readonly from: number
  /** When it was undone. */
  undone: number
  /** When all was whole again. */
  until: number
}

export interface Hospital {
  readonly deployment: Deployment
  readonly random: Random
  /** The operator's own connection, for faults that write to the log. */
  readonly bus: EventBus
  /** What is broken now, so that two faults do not ask the impossible (two brokers of three down). */
  readonly busy: Set<string>
  readonly say: (line: string) => void
}

/** One way of breaking things, and of mending them: when it resolves, all is whole again. Null where it cannot be had now. */
export type Fault = (hospital: Hospital) => Promise<Injury> | null

const wait = (random: Random, from: number, to: number) => sleep(random.between(from, to))

/** Marks what is broken, and how long. */
async function injure(
  hospital: Hospital,
  fault: string,
  victim: string,
  work: () => Promise<void>,
  recovered: () => Promise<void> = async () => {},
): Promise<Injury> {
  const { busy, say } = hospital
  busy.add(victim)
  const injury = { fault, victim, from: Date.now(), undone: 0, until: 0 }
  try {
    await work()
    injury.undone = Date.now()
    await recovered()
  } finally {
    injury.until = Date.now()
    busy.delete(victim)
    say(`${fault} ${victim} for ${injury.until - injury.from} ms`)
  }
  return injury
}

/** A role's process that is whole, and of which another one of its role goes on. */
function victimOf({ deployment, random, busy }: Hospital, role?: RoleProcess['role']): RoleProcess | null {
  const whole = [...deployment.roles.values()].filter(
    (one) => one.state === 'running' && !busy.has(one.name) && (role === undefined || one.role === role),
  )
  return whole.length === 0 ? null : random.pick(whole)
}

function killRole(role?: RoleProcess['role']): Fault {
  return (hospital) => {
    const victim = victimOf(hospital, role)
    if (victim === null) return null
    return injure(hospital, 'kill', victim.name, async () => {
      await victim.kill()
      await wait(hospital.random, 0, 8_000)
      await victim.start()
    })
  }
}

const pauseRole: Fault = (hospital) => {
  const victim = victimOf(hospital)
  if (victim === null) return null
  return injure(hospital, 'pause', victim.name, async () => {
    victim.pause()
    await wait(hospital.random, 1_000, 14_000)
    victim.resume()
  })
}

const stopRole: Fault = (hospital) => {
  const victim = victimOf(hospital)
  if (victim === null) return null
  return injure(hospital, 'stop', victim.name, async () => {
    await victim.stop()
    await wait(hospital.random, 0, 3_000)
    await victim.start()
  })
}

/** Anything that a broker less would break waits until no other broker is away. */
function onBroker(
  name: string,
  work: (hospital: Hospital, index: number) => Promise<void>,
  choose?: (h: Hospital) => Promise<number>,
): Fault {
  return (hospital) => {
    if (hospital.busy.has('kafka')) return null
    const { cluster } = hospital.deployment
    const breakOne = async () => work(hospital, choose === undefined ? hospital.random.below(cluster.nodes.length) : await choose(hospital))
    return injure(hospital, name, 'kafka', breakOne, () => cluster.waitReady())
  }
}

const controller = async ({ deployment }: Hospital) => (await deployment.cluster.controller()) - 1

async function killBroker({ deployment, random }: Hospital, index: number): Promise<void> {
  const node = deployment.cluster.nodes[index]
  await node?.kill()
  await wait(random, 500, 6_000)
  await node?.start()
}

async function pauseBroker({ deployment, random }: Hospital, index: number): Promise<void> {
  const node = deployment.cluster.nodes[index]
  node?.pause()
  await wait(random, 2_000, 12_000)
  node?.resume()
}

const rollBrokers = onBroker('rolling restart', async ({ deployment }) => {
  for (const node of deployment.cluster.nodes) {
    await node.stop()
    await node.start()
    await deployment.cluster.waitReady()
  }
})

/** The whole cluster away: nodes spool, collectors refuse, everybody waits. There are records in it that nobody has read. */
const allBrokers = onBroker('cluster away', async ({ deployment, random, busy }) => {
  const { cluster, roles } = deployment
  const readers = [...roles.values()].filter(({ role, name, state }) => role === 'detect' && state === 'running' && !busy.has(name))
  for (const reader of readers) reader.pause()
  await sleep(300)
  for (const node of cluster.nodes) node.pause()
  for (const reader of readers) reader.resume()
  await wait(random, 2_000, 16_000)
  for (const node of cluster.nodes) node.resume()
})

/** Members join and leave every few seconds. */
const rebalanceStorm: Fault = (hospital) => {
  if (hospital.busy.has('group')) return null
  return injure(hospital, 'rebalance storm', 'group', async () => {
    for (let n = 0; n < 3; n++) {
      const extra = hospital.deployment.extraDetect(n)
      await extra.start()
      await wait(hospital.random, 500, 3_000)
      await (hospital.random.below(2) === 0 ? extra.stop() : extra.kill())
      await wait(hospital.random, 0, 2_000)
    }
  })
}

/** Does `kind` to every second request of the store's clients, at random. */
function onStore(name: string, fault: StoreFault): Fault {
  return (hospital) => {
    if (hospital.busy.has('clickhouse')) return null
    return injure(hospital, name, 'clickhouse', async () => {
      const { proxy } = hospital.deployment
      proxy.plan(() => (hospital.random.below(2) === 0 ? fault : pass))
      await wait(hospital.random, 3_000, 12_000)
      proxy.plan(() => pass)
    })
  }
}

const storeAway: Fault = (hospital) => {
  if (hospital.busy.has('clickhouse')) return null
  return injure(hospital, 'away', 'clickhouse', async () => {
    await hospital.deployment.proxy.leave()
    await wait(hospital.random, 3_000, 15_000)
    await hospital.deployment.proxy.comeBack()
  })
}

const killStore: Fault = (hospital) => {
  if (hospital.busy.has('clickhouse')) return null
  return injure(hospital, 'kill', 'clickhouse', async () => {
    await hospital.deployment.clickhouse.kill()
    await wait(hospital.random, 1_000, 6_000)
    await hospital.deployment.clickhouse.restart()
  })
}

/** No room under a node's spool. What is answered meanwhile is lost, and has to be counted. */
const fullDisk: Fault = (hospital) => {
  const node = hospital.deployment.roles.get('node-1')
  if (node?.state !== 'running' || hospital.busy.has('node-1') || hospital.busy.has('disk')) return null
  return injure(hospital, 'full disk', 'disk', async () => {
    hospital.deployment.disk?.fill()
    await wait(hospital.random, 2_000, 6_000)
    hospital.deployment.disk?.free()
  })
}

/** Records come again, and out of order, as from producers that retry: the same events, with the same ids. */
const duplicates: Fault = (hospital) => {
  const { bus, random } = hospital
  if (hospital.busy.has('log')) return null
  return injure(hospital, 'duplicates', 'log', async () => {
    for (const topic of ['requests', 'fingerprints', 'flows']) {
      for (const { partition, start, end } of await bus.partitions(topic)) {
        const from = Math.max(start, end - random.below(2_000))
        for await (const records of bus.read(topic, partition, from, Math.min(end, from + 300))) {
          const again = records.filter(({ headers }) => headers.ce_type !== 'dev.cordon.tick').map((record) => ({ ...record, partition }))
          again.sort(() => random.next() - 0.5)
          await bus.publish(
            again.map(({ topic: name, partition: to, key, value, headers, timestamp }) => ({
              topic: name,
              partition: to,
              key,
              value,
              headers,
              timestamp,
            })),
          )
        }
      }
    }
  })
}

/** Every fault, as often as it is listed. */
export const faults: readonly Fault[] = [
  killRole('node'),
  killRole('ingest'),
  killRole('detect'),
  killRole('detect'),
  killRole('respond'),
  killRole('console'),
  pauseRole,
  pauseRole,
  stopRole,
  onBroker('kill broker', killBroker),
  onBroker('kill controller', killBroker, controller),
  onBroker('pause broker', pauseBroker),
  onBroker('pause controller', pauseBroker, controller),
  rollBrokers,
  allBrokers,
  rebalanceStorm,
  onStore('slow', { kind: 'slow', ms: 2_000 }),
  onStore('errors', { kind: 'error' }),
  onStore('truncated answers', { kind: 'cut' }),
  onStore('lost answers', { kind: 'lose' }),
  onStore('late requests', { kind: 'hold', ms: 3_000 }),
  storeAway,
  killStore,
  fullDisk,
  duplicates,
]
