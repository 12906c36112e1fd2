import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { pino } from 'pino'
import { BusError, type BusErrorCode } from '../../bus/errors.ts'
import type { AclEntry } from '../../bus/kafka/acls.ts'
import type { EventBus } from '../../bus/port.ts'
import { Config } from '../../cli/config/schema.ts'
import { openBus } from '../../cli/instance/bus.ts'
import { checkTopics, topicConfigs } from '../../cli/instance/topics.ts'
import { RoleName, roles } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import { Authority } from './certificates.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { cordon, lines } from './cordon.ts'
import { grant } from './grants.ts'
import type { Security } from './security.ts'

const log = pino({ level: 'silent' })
let cluster: Cluster
let security: Security
let directory: string
const admin = () => settings(security.login())
const settings = (given: object, brokers = cluster.brokers) => ({
  bus: { adapter: 'kafka', brokers: [...brokers], ssl: true, caFile: security.caFile, ...given },
})
const open = (given: object, brokers?: readonly string[]): Promise<EventBus> => openBus(Config.parse(settings(given, brokers)), log)

before(async () => {
  cluster = await startCluster({ brokers: 1, security: { users: RoleName.options.map((role) => `cordon-${role}`) } })
  assert.ok(cluster.security !== null)
  security = cluster.security
  directory = await mkdtemp(join(tmpdir(), 'cordon-certificates-'))
  const applied = await cordon(admin(), ['topics', 'apply'])
  assert.equal(applied.code, 0, applied.err)
})
after(async () => {
  await cluster?.stop()
  if (directory !== undefined) await rm(directory, { recursive: true })
})

/** A bus call that the cluster has to refuse. What a credential may not even describe does not exist for it. */
async function refused(doing: Promise<unknown>, ...codes: BusErrorCode[]): Promise<void> {
  await assert.rejects(doing, (error) => {
    assert.ok(error instanceof BusError, String(error))
    assert.ok(codes.includes(error.code), `${error.code}: ${error.message}`)
    return true
  })
}

describe('connecting to a secured cluster', () => {
  const node = () => security.login('cordon-node')

  it('takes a password or a certificate', async () => {
    const byPassword = await open(node())
    await byPassword.close()
    const { certFile, keyFile } = await security.authority.issue('cordon-node')
    const byCertificate = await open({ certFile, keyFile }, security.mutualBrokers)
    await byCertificate.close()
  })

  it('says that a password is wrong', () => refused(open({ ...node(), password: 'wrong' }), 'BUS_FORBIDDEN'))

  it('trusts only the given authority', async () => {
    const other = await Authority.create(directory, 'other')
    await refused(open({ ...node(), caFile: other.caFile }), 'BUS_UNTRUSTED')
    await refused(open({ ...node(), caFile: null }), 'BUS_UNTRUSTED')
    const { certFile, keyFile } = await other.issue('cordon-node')
    await refused(open({ certFile, keyFile }, security.mutualBrokers), 'BUS_UNTRUSTED')
  })

  it('says that a certificate is wanted', () => refused(open({}, security.mutualBrokers), 'BUS_UNTRUSTED'))
})

describe('with the rights that `cordon topics acls` prints', () => {
  const config = () => Config.parse(admin())
  const buses = new Map<RoleName, EventBus>()
  const record = (topic: string) => ({ topic, key: 'k', value: Buffer.from('{}'), headers: {}, timestamp: Date.now() })

  before(async () => {
    const entries = lines<AclEntry>(await cordon(admin(), ['topics', 'acls', '--json']))
    await grant(cluster, entries)
    const all = await open(security.login())
    await all.publish(topicConfigs(config()).map(({ name }) => record(name)))
    await all.close()
    for (const role of RoleName.options) buses.set(role, await open(security.login(`cordon-${role}`)))
    // Brokers learn of a right a moment after it was given.
    for (const [role, bus] of buses) {
      await until(`the rights of ${role}`, () =>
        checkTopics(bus, config(), role).then(
          () => true,
          () => false,
        ),
      )
    }
  })
  after(() => Promise.all([...buses.values()].map((bus) => bus.close())))

  const busOf = (role: RoleName): EventBus => buses.get(role) ?? assert.fail(role)
  const topicNames = () => topicConfigs(config()).map(({ name }) => name)
  const readOne = async (bus: EventBus, topic: string): Promise<void> => {
    for (const { partition, end } of await bus.partitions(topic)) {
      for await (const records of bus.read(topic, partition, 0, end)) if (records.length > 0) return
    }
    assert.fail(`nothing in ${topic}`)
  }

  it("a node reads nobody's metadata, and writes no containment and no key", async () => {
    const node = busOf('node')
    await node.publish([record('requests'), record('fingerprints')])
    await readOne(node, 'containments')
    // It sees these, since it writes them: the brokers themselves refuse.
    await refused(readOne(node, 'requests'), 'BUS_FORBIDDEN')
    await refused(readOne(node, 'fingerprints'), 'BUS_FORBIDDEN')
    await refused(tailing(node, 'telemetry'), 'BUS_FORBIDDEN')
    await refused(node.publish([record('containments')]), 'BUS_FORBIDDEN')
    await refused(node.publish([record('keys')]), 'BUS_FORBIDDEN')
    await refused(node.publish([record('models')]), 'BUS_FORBIDDEN')
    // Of these it does not even learn that they are there.
    await refused(readOne(node, 'findings'), 'UNKNOWN_TOPIC', 'BUS_FORBIDDEN')
    await refused(node.publish([record('commands')]), 'UNKNOWN_TOPIC', 'BUS_FORBIDDEN')
    assert.deepEqual(await node.groups(), [])
  })

  for (const role of RoleName.options) {
    const { writes, reads, groups, describesAll } = roles[role]
    it(`${role} writes and reads its own topics, and no others`, async () => {
      const bus = busOf(role)
      for (const topic of topicNames()) {
        if (writes.some((name) => name === topic)) await bus.publish([record(topic)])
        else await refused(bus.publish([record(topic)]), 'BUS_FORBIDDEN', 'UNKNOWN_TOPIC')
        if (reads.some((name) => name === topic)) await readOne(bus, topic)
        else await refused(readOne(bus, topic), 'BUS_FORBIDDEN', 'UNKNOWN_TOPIC')
      }
      // Beyond topics.
      await refused(bus.growTopic(writes[0] ?? '', 9), 'BUS_FORBIDDEN')
      await refused(bus.ensureTopics([{ name: 'mine', partitions: 1, retentionMs: 60_000 }]), 'BUS_FORBIDDEN')
    })

    for (const group of groups) {
      it(`${role} is a member of ${group}, and of no other group`, async () => {
        const bus = busOf(role)
        const topics = reads.slice(0, 2)
        const committed = Promise.withResolvers<void>()
        const consumer = await bus.consume({
          group,
          topics,
          onBatch: async ({ records }, { commit }) => {
            await commit((records.at(-1)?.offset ?? 0) + 1)
            committed.resolve()
          },
          onError: forbidden(committed.reject),
        })
        await committed.promise
        await consumer.close()
        await refused(consuming(bus, 'another', topics), 'BUS_FORBIDDEN')
        const all = await busOf('console').groups()
        assert.ok(
          all.some((state) => state.group === group && state.committed !== null),
          'the console sees what is committed',
        )
      })
    }

    it(`${role} ${describesAll ? 'sees' : 'does not see'} the offsets of every topic`, async () => {
      const used = new Set<string>([...reads, ...writes])
      const hidden = topicNames().filter((topic) => !used.has(topic))
      for (const topic of hidden) {
        if (describesAll) assert.ok((await busOf(role).partitions(topic)).some(({ end }) => end > 0))
        else await refused(busOf(role).partitions(topic), 'UNKNOWN_TOPIC', 'BUS_FORBIDDEN')
      }
    })
  }

  it('a certificate has the rights of the name in it', async () => {
    const { certFile, keyFile } = await security.authority.issue('cordon-node')
    const bus = await open({ certFile, keyFile }, security.mutualBrokers)
    try {
      await bus.publish([record('requests')])
      await refused(bus.publish([record('containments')]), 'BUS_FORBIDDEN')
    } finally {
      await bus.close()
    }
  })

  /** A listener that passes refusals on: what else goes wrong while a group forms is tried again. */
  function forbidden(listener: (error: BusError) => void): (error: unknown) => void {
    return (error) => {
      if (error instanceof BusError && error.code === 'BUS_FORBIDDEN') listener(error)
    }
  }

  /** Fails with the first refusal that a member meets; resolves where it is given records. */
  async function consuming(bus: EventBus, group: string, topics: readonly string[]): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // It may be refused before `consume` is through.
    promise.catch(() => {})
    const consumer = await bus.consume({ group, topics, onBatch: async () => resolve(), onError: forbidden(reject) })
    await promise.finally(() => consumer.close())
  }

  async function tailing(bus: EventBus, topic: string): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const tail = await bus.tail({ topic, from: 'start', onRecords: () => resolve(), onError: forbidden(reject) })
    await promise.finally(() => tail.close())
  }
})
