import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Message } from 'kafkajs'
import { BusError } from '../../bus/errors.ts'
import type { Brokers } from '../../bus/kafka/brokers.ts'
import type { NodeBroker } from '../../bus/kafka/node-broker.ts'
import { Publisher } from '../../bus/kafka/publisher.ts'
import type { Topics } from '../../bus/kafka/topics.ts'
import type { OutgoingRecord } from '../../bus/port.ts'

interface Produce {
  readonly topicData: readonly { topic: string; partitions: readonly { partition: number; messages: readonly Message[] }[] }[]
}

/** A broker that keeps what it takes, watches that one request is under way at a time, and refuses records whose value is `bad`. */
class Broker {
  readonly requests: number[] = []
  readonly log = new Map<string, string[]>()
  #busy = false
  /** Called before each request is taken; what it throws is the answer. */
  before: () => Promise<void> = async () => {}
  /** Called after; what it throws is the answer, though the records are there. */
  after: () => Promise<void> = async () => {}

  produce = async ({ topicData }: Produce): Promise<unknown> => {
    assert.ok(!this.#busy, 'one request at a time')
    this.#busy = true
    try {
      await this.before()
      const messages = topicData.flatMap(({ partitions }) => partitions.flatMap((each) => each.messages))
      if (messages.some(({ value }) => value?.toString() === 'bad')) throw Object.assign(new Error('refused'), { type: 'INVALID_RECORD' })
      this.requests.push(messages.length)
      const topics = topicData.map(({ topic, partitions }) => ({
        topicName: topic,
        partitions: partitions.map((each) => {
          const log = this.log.get(`${topic}/${each.partition}`) ?? []
          this.log.set(`${topic}/${each.partition}`, log)
          const baseOffset = String(log.length)
          log.push(...each.messages.map(({ value }) => value?.toString() ?? ''))
          return { partition: each.partition, baseOffset }
        }),
      }))
      await this.after()
      return { topics }
    } finally {
      this.#busy = false
    }
  }
}

function make(publishMs = 5_000): { broker: Broker; publisher: Publisher } {
  const broker = new Broker()
  const brokers: Pick<Brokers, 'ask' | 'leaderOf' | 'follow' | 'refresh'> = {
    ask: (_node, _within, request) => request(broker as unknown as NodeBroker),
    leaderOf: () => '1',
    follow: async () => {},
    refresh: async () => {},
  }
  const topics = { get: async () => ({ partitions: 2, compacted: false }), nameOf: (topic: string) => `p.${topic}` }
  const options = { brokers: brokers as Brokers, topics: topics as unknown as Topics, requestMs: 1_000, publishMs }
  return { broker, publisher: new Publisher(options) }
}

function records(partition: number, ...values: (string | Buffer)[]): OutgoingRecord[] {
  return values.map((value) => ({ topic: 't', key: null, value: Buffer.from(value), headers: {}, timestamp: 1, partition }))
}

test('sends what waits in one request, in order, and says where each record lies', async () => {
  const { broker, publisher } = make()
  const gate = Promise.withResolvers<void>()
  broker.before = () => gate.promise
  const first = publisher.publish(records(0, 'a'))
  const second = publisher.publish([...records(1, 'b'), ...records(0, 'c')])
  const third = publisher.publish(records(1, 'd', 'e'))
  await new Promise((resolve) => setImmediate(resolve))
  gate.resolve()
  const at = (partition: number, offset: number): unknown => ({ topic: 't', partition, offset })
  assert.deepEqual(await first, [at(0, 0)])
  assert.deepEqual(await second, [at(1, 0), at(0, 1)])
  assert.deepEqual(await third, [at(1, 1), at(1, 2)])
  assert.deepEqual(broker.requests, [1, 4])
  await publisher.close()
})

test('forgets no call, however soon after another it comes', async () => {
  const tick = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await Promise.resolve()
  }
  for (let ticks = 0; ticks < 40; ticks++) {
    const { broker, publisher } = make()
    let second: Promise<unknown> | undefined
    // The second call comes from elsewhere while the first is under way, and reaches the queue so many microtasks later.
    broker.before = async () => {
      second ??= tick(ticks).then(() => publisher.publish(records(0, 'b')))
      await tick(10)
    }
    await publisher.publish(records(0, 'a'))
    const answered = await Promise.race([second, new Promise((resolve) => setTimeout(resolve, 100, 'forgotten'))])
    assert.deepEqual(answered, [{ topic: 't', partition: 0, offset: 1 }], `after ${ticks} microtasks`)
    await publisher.close()
  }
})

test('fails only the call whose record is refused', async () => {
  const { broker, publisher } = make()
  const gate = Promise.withResolvers<void>()
  broker.before = () => gate.promise
  const calls = [publisher.publish(records(0, 'a')), ...['b', 'bad', 'c'].map((value) => publisher.publish(records(0, value)))]
  await new Promise((resolve) => setImmediate(resolve))
  gate.resolve()
  const outcomes = await Promise.allSettled(calls)
  assert.deepEqual(
    outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value[0]?.offset : outcome.reason instanceof BusError && outcome.reason.code,
    ),
    [0, 1, 'INVALID_RECORD', 2],
  )
  await publisher.close()
})

test('sends again what was not taken, or not answered, before anything that came later', async () => {
  const { broker, publisher } = make()
  let failures = 0
  broker.before = async () => {
    if (failures++ === 0) throw Object.assign(new Error('not the leader'), { type: 'NOT_LEADER_FOR_PARTITION' })
  }
  broker.after = async () => {
    if (failures++ === 2) throw Object.assign(new Error('the connection broke'), { name: 'KafkaJSConnectionError' })
  }
  const calls = ['a', 'b', 'c', 'd'].map((value) => publisher.publish(records(0, value)))
  await Promise.all(calls)
  const log = broker.log.get('p.t/0') ?? []
  assert.deepEqual([...new Set(log)], ['a', 'b', 'c', 'd'])
  assert.ok(log.length > 4, 'what was taken without an answer is there twice')
  await publisher.close()
})

test('gives a call up when its time is over, and goes on with the next', async () => {
  const { broker, publisher } = make(300)
  broker.before = async () => {
    throw Object.assign(new Error('too few copies'), { type: 'NOT_ENOUGH_REPLICAS' })
  }
  await assert.rejects(publisher.publish(records(0, 'a')), (error) => error instanceof BusError && error.code === 'BUS_UNAVAILABLE')
  broker.before = async () => {}
  assert.deepEqual(await publisher.publish(records(0, 'b')), [{ topic: 't', partition: 0, offset: 0 }])
  await publisher.close()
})

test('splits a call that no request can hold, and refuses what memory should not hold', async () => {
  const { broker, publisher } = make()
  const half = Buffer.alloc(400_000)
  const positions = await publisher.publish(records(0, half, half, half, half, half))
  assert.deepEqual(
    positions.map((position) => position.offset),
    [0, 1, 2, 3, 4],
  )
  // A batch of one partition stays under 1 MiB: two records of 400 kB.
  assert.deepEqual(broker.requests, [2, 2, 1])
  const large = Buffer.alloc(1_048_576)
  await assert.rejects(
    publisher.publish(records(0, ...Array.from({ length: 65 }, () => large))),
    (error) => error instanceof BusError && error.code === 'BUS_FULL',
  )
  await publisher.close()
})

test('keeps no room for what was refused', async () => {
  const { broker, publisher } = make()
  const forbidden = async (): Promise<void> => {
    throw Object.assign(new Error('may not write'), { type: 'TOPIC_AUTHORIZATION_FAILED' })
  }
  broker.before = forbidden
  const large = Buffer.alloc(1_000_000)
  const code = (error: unknown): boolean => error instanceof BusError && error.code === 'BUS_FORBIDDEN'
  // More than ever waits at a time: 67 MB.
  for (let i = 0; i < 40; i++) await assert.rejects(publisher.publish(records(0, large)), code)
  for (let i = 0; i < 20; i++) {
    const both = [publisher.publish(records(0, large)), publisher.publish(records(1, large))]
    for (const one of await Promise.allSettled(both)) assert.ok(one.status === 'rejected' && code(one.reason))
  }
  broker.before = async () => {}
  assert.equal((await publisher.publish(records(0, large)))[0]?.offset, 0)
  await publisher.close()
})
