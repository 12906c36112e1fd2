import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import kafkajs, { type Admin } from 'kafkajs'
import type { TopicPlan } from '../../bus/port.ts'
import { type Cluster, startCluster } from './cluster.ts'
import { cordon, lines, type Ran } from './cordon.ts'

describe('cordon topics', () => {
  let cluster: Cluster
  let admin: Admin
  before(async () => {
    cluster = await startCluster()
    admin = new kafkajs.Kafka({ brokers: [...cluster.brokers], logLevel: kafkajs.logLevel.NOTHING }).admin()
    await admin.connect()
  })
  after(async () => {
    await admin?.disconnect()
    await cluster?.stop()
  })
  const run = (prefix: string, settings: object, ...args: string[]): Promise<Ran> =>
    cordon({ bus: { adapter: 'kafka', brokers: cluster.brokers, prefix, ...settings } }, ['topics', ...args])

  it('plans, applies, and then finds nothing to do', async () => {
    const settings = { replication: 3, minInsyncReplicas: 2, partitions: { requests: 6 } }
    const before = await run('a.', settings, 'plan')
    assert.equal(before.code, 1, before.err)
    assert.match(before.out, /^TOPIC +SETTING +IS +WANTED$/m)
    assert.match(before.out, /^a\.requests +topic +missing +partitions=6 replication=3 min\.insync\.replicas=2 .*retention\.ms=604800000/m)
    assert.deepEqual(
      (await admin.listTopics()).filter((name) => name.startsWith('a.')),
      [],
      'planning changes nothing',
    )

    const applied = await run('a.', settings, 'apply', '--json')
    assert.equal(applied.code, 0, applied.err)
    const made = lines<{ topic: string; created: boolean }>(applied)
    assert.ok(made.length >= 16 && made.every(({ created }) => created))
    const { topics } = await admin.fetchTopicMetadata({ topics: ['a.requests', 'a.containments'] })
    assert.deepEqual(
      new Map(topics.map(({ name, partitions }) => [name, partitions.map(({ replicas }) => replicas.length)])),
      new Map([
        ['a.requests', [3, 3, 3, 3, 3, 3]],
        ['a.containments', [3]],
      ]),
    )

    const after = await run('a.', settings, 'plan')
    assert.equal(after.code, 0, after.err)
    assert.match(after.out, /^all \d+ topics are as configured$/m)
    const again = await run('a.', settings, 'apply', '--json')
    assert.equal(again.code, 0, again.err)
    assert.ok(lines<{ created: boolean }>(again).every(({ created }) => !created))
  })

  it('refuses topics that are otherwise, creates nothing then, and says what to do about each', async () => {
    await admin.createTopics({
      topics: [
        { topic: 'b.requests', numPartitions: 2, replicationFactor: 2 },
        { topic: 'b.containments', numPartitions: 1, replicationFactor: 3, configEntries: [{ name: 'cleanup.policy', value: 'delete' }] },
      ],
    })
    const settings = { replication: 3 }
    const planned = await run('b.', settings, 'plan', '--json')
    assert.equal(planned.code, 1)
    const plans = new Map(lines<TopicPlan>(planned).map((plan) => [plan.topic, plan]))
    assert.equal(plans.get('b.findings')?.state, 'missing')
    const differing = (topic: string) =>
      plans
        .get(topic)
        ?.settings.filter(({ differs }) => differs)
        .map(({ name, is, wanted }) => [name, is, wanted])
    assert.deepEqual(differing('b.requests'), [
      ['partitions', '2', '4'],
      ['replication', '2', '3'],
      ['message.timestamp.type', 'CreateTime', 'LogAppendTime'],
      ['compression.type', 'producer', 'uncompressed'],
      ['max.message.bytes', '1048588', 'at least 2097152'],
    ])

    const applied = await run('b.', settings, 'apply')
    assert.equal(applied.code, 1)
    assert.match(applied.out, /^b\.containments +cleanup\.policy +delete +compact$/m)
    assert.match(applied.err, /b\.requests: partitions is 2, wanted 4: .*cordon repartition.*bus\.partitions\.requests to 2/)
    assert.match(
      applied.err,
      /b\.containments: cleanup\.policy is delete, wanted compact: kafka-configs\.sh .*--add-config cleanup\.policy=compact/,
    )
    assert.match(applied.err, /b\.requests: replication is 2, wanted 3: .*bus\.replication to 2/)
    assert.deepEqual((await admin.listTopics()).filter((name) => name.startsWith('b.')).sort(), ['b.containments', 'b.requests'])
  })

  it('says so where the brokers are away, and where a topic is none', async () => {
    const away = await cordon({ bus: { adapter: 'kafka', brokers: ['127.0.0.1:1'] } }, ['topics', 'plan', '--json'])
    assert.equal(away.code, 1)
    assert.equal(JSON.parse(away.err).code, 'BUS_UNAVAILABLE')
    const wrong = await run('c.', { partitions: { request: 2 } }, 'plan')
    assert.equal(wrong.code, 2)
    assert.match(wrong.err, /bus\.partitions\.request: no such topic; there are requests, /)
    const ordered = await run('c.', { partitions: { containments: 2 } }, 'apply')
    assert.equal(ordered.code, 2)
    assert.match(ordered.err, /bus\.partitions\.containments: has one partition/)
  })
})
