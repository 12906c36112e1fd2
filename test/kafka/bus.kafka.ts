import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import kafkajs, { type Admin, type Kafka } from 'kafkajs'
import { BusError } from '../../bus/errors.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
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

  test('says so when no broker answers', async () => {
    await assert.rejects(createKafkaBus({ brokers: ['127.0.0.1:1'], clientId: 'cordon-test' }), (error) => {
      assert.ok(error instanceof BusError)
      assert.equal(error.code, 'BUS_UNAVAILABLE')
      return true
    })
  })
})
