import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { zstdCompressSync } from 'node:zlib'
import kafkajs, { type Admin, type Kafka } from 'kafkajs'
import type { Logger } from 'pino'
import { BusError } from '../../bus/errors.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import { until } from '../bus/until.ts'
import { busContract } from '../contracts/bus.ts'
import { type Broker, startBroker } from './broker.ts'

let broker: Broker
before(async () => {
  broker = await startBroker()
  console.log(`broker: ${broker.origin}`)
})
after(() => broker?.stop())

// A prefix of its own, since KAFKA_BROKERS may name a cluster that others use.
const prefix = `test-${randomBytes(4).toString('hex')}.`

busContract('kafka', async () => ({
  open: () => createKafkaBus({ brokers: broker.brokers, clientId: 'cordon-test', prefix }),
  dispose: async () => {},
}))

describe('kafka', () => {
  let bus: EventBus
  let kafka: Kafka
  let admin: Admin
  before(async () => {
    bus = await createKafkaBus({ brokers: broker.brokers, clientId: 'cordon-test', prefix })
    kafka = new kafkajs.Kafka({ brokers: [...broker.brokers], clientId: 'other', logLevel: kafkajs.logLevel.NOTHING })
    admin = kafka.admin()
    await admin.connect()
  })
  after(async () => {
    await admin.disconnect()
    await bus.close()
  })

  test('creates topics under its prefix, with settings that let events of any clock in', async () => {
    await bus.ensureTopics([
      { name: 'kept', partitions: 2, retentionMs: 3_600_000 },
      { name: 'compacted', partitions: 1, retentionMs: null },
    ])
    const { resources } = await admin.describeConfigs({
      includeSynonyms: false,
      resources: ['kept', 'compacted'].map((topic) => ({ type: kafkajs.ConfigResourceTypes.TOPIC, name: prefix + topic })),
    })
    const settings = resources.map(
      ({ configEntries }) => new Map(configEntries.map(({ configName, configValue }) => [configName, configValue])),
    )
    assert.deepEqual(
      settings.map((each) => each.get('cleanup.policy')),
      ['delete', 'compact'],
    )
    assert.equal(settings[0]?.get('retention.ms'), '3600000')
    assert.equal(settings[1]?.get('delete.retention.ms'), '86400000')
    // An hour and a day ahead.
    const timestamp = Date.now() + 90_000_000
    await bus.publish([{ topic: 'kept', key: 'fast clock', value: null, headers: {}, timestamp }])
  })

  test('refuses a topic that someone made otherwise, and says what differs', async () => {
    await admin.createTopics({ topics: [{ topic: `${prefix}foreign`, numPartitions: 3 }] })
    await assert.rejects(bus.ensureTopics([{ name: 'foreign', partitions: 2, retentionMs: null }]), (error) => {
      assert.ok(error instanceof BusError)
      assert.equal(error.code, 'TOPIC_MISMATCH')
      assert.match(error.message, /cleanup\.policy is delete, wanted compact/)
      assert.match(error.message, /partitions is 3, wanted 2/)
      assert.match(error.message, /max\.message\.bytes is \d+, wanted at least 2097152/)
      return true
    })
  })

  test('reads what other producers write', async () => {
    await bus.ensureTopics([{ name: 'theirs', partitions: 1, retentionMs: 3_600_000 }])
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    await producer.send({
      topic: `${prefix}theirs`,
      compression: kafkajs.CompressionTypes.GZIP,
      messages: [
        { value: 'no headers' },
        { key: Buffer.from([0xff, 0xfe]), value: null, headers: { twice: ['first', 'last'], empty: '' } },
      ],
    })
    await producer.disconnect()
    const found: BusRecord[] = []
    for await (const records of bus.read('theirs', 0, 0)) found.push(...records)
    assert.deepEqual(
      found.map(({ key, value, headers }) => [key, value === null ? null : Buffer.from(value).toString(), headers]),
      [
        [null, 'no headers', {}],
        ['\ufffd\ufffd', null, { twice: 'last', empty: '' }],
      ],
    )
  })

  test('reads what others compress in ways that the client does not know', async () => {
    await bus.ensureTopics([{ name: 'zstd', partitions: 1, retentionMs: 3_600_000 }])
    kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
      compress: async ({ buffer }: { buffer: Buffer }) => zstdCompressSync(buffer),
      decompress: async () => assert.fail('the broker has done it'),
    })
    const producer = kafka.producer({ createPartitioner: kafkajs.Partitioners.DefaultPartitioner })
    await producer.connect()
    await producer.send({ topic: `${prefix}zstd`, compression: kafkajs.CompressionTypes.ZSTD, messages: [{ value: 'v'.repeat(500) }] })
    await producer.disconnect()
    const found: BusRecord[] = []
    for await (const records of bus.read('zstd', 0, 0)) found.push(...records)
    assert.deepEqual(
      found.map(({ value }) => value?.length),
      [500],
    )
  })

  test('consumers and tails that were overtaken by retention go on with what is left', async () => {
    await bus.ensureTopics([{ name: 'overtaken', partitions: 1, retentionMs: 3_600_000 }])
    const publish = async (from: number, count: number): Promise<void> => {
      const record = { topic: 'overtaken', key: null, headers: {}, timestamp: Date.now() }
      await bus.publish(Array.from({ length: count }, (_, i) => ({ ...record, value: Buffer.from(String(from + i)) })))
    }
    await publish(0, 10)
    const consumed: number[] = []
    const tailed: number[] = []
    const entered = Promise.withResolvers<void>()
    const gate = Promise.withResolvers<void>()
    const consumer = await bus.consume({
      group: 'overtaken',
      topics: ['overtaken'],
      maxBatch: 5,
      onBatch: async ({ records }) => {
        consumed.push(...records.map((r) => r.offset))
        entered.resolve()
        await gate.promise
      },
    })
    await entered.promise
    // 10 to 19 come, and 0 to 14 are deleted, before the consumer asks for more than what it fetched.
    try {
      await publish(10, 10)
      // Has the client learn of the topic: deleting does not.
      await admin.fetchTopicOffsets(`${prefix}overtaken`)
      await admin.deleteTopicRecords({ topic: `${prefix}overtaken`, partitions: [{ partition: 0, offset: '15' }] })
    } finally {
      gate.resolve()
    }
    const tail = await bus.tail({
      topic: 'overtaken',
      from: new Map([[0, 2]]),
      onRecords: (records) => tailed.push(...records.map((r) => r.offset)),
    })
    await until('both have the last record', () => consumed.at(-1) === 19 && tailed.at(-1) === 19)
    assert.deepEqual(consumed, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 18, 19])
    assert.deepEqual(tailed, [15, 16, 17, 18, 19])
    await consumer.close()
    await tail.close()
  })

  test('closes without a word of complaint', async () => {
    const words: string[] = []
    const note = (fields: unknown, message: string): void => void words.push(`${message} ${JSON.stringify(fields)}`)
    const log = { warn: note, error: note, info: note, debug: note } as unknown as Logger
    const onError = (error: unknown): void => void words.push(String(error))
    const own = await createKafkaBus({ brokers: broker.brokers, clientId: 'quiet', prefix, log })
    const topics = ['quiet-a', 'quiet-b']
    await own.ensureTopics(topics.map((name) => ({ name, partitions: 3, retentionMs: 86_400_000 })))
    for (const topic of topics) await own.tail({ topic, from: 'start', onRecords: () => {}, onError })
    const handled = Promise.withResolvers<void>()
    const closed = await own.consume({ group: 'quiet-1', topics, onBatch: async () => {}, onError })
    await own.consume({ group: 'quiet-2', topics, onBatch: async () => handled.resolve(), onError })
    await own.publish([{ topic: 'quiet-a', key: 'k', value: Buffer.from('v'), headers: {}, timestamp: Date.now() }])
    for (const { topic, partition } of await own.partitions('quiet-a')) for await (const _ of own.read(topic, partition, 0));
    await handled.promise
    await until('the group is known', async () => (await own.groups()).length > 0)
    // A coordinator that is found late may be complained of; the closing may not.
    words.length = 0
    await closed.close()
    await own.close()
    await delay(500)
    assert.deepEqual(words, [])
  })

  test('says so when no broker answers', async () => {
    await assert.rejects(createKafkaBus({ brokers: ['127.0.0.1:1'], clientId: 'cordon-test' }), (error) => {
      assert.ok(error instanceof BusError)
      assert.equal(error.code, 'BUS_UNAVAILABLE')
      return true
    })
  })
})
