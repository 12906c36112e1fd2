import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Kafka, ProducerBatch, RecordMetadata } from 'kafkajs'
import { BusError } from '../../bus/errors.ts'
import { Publisher } from '../../bus/kafka/publisher.ts'
import type { Topics } from '../../bus/kafka/topics.ts'
import type { OutgoingRecord } from '../../bus/port.ts'

/** A producer that keeps offsets, watches that one request is under way at a time, and refuses records whose value is `bad`. */
class Producer {
  readonly requests: number[] = []
  readonly #ends = new Map<string, number>()
  #busy = false
  answer: () => Promise<void> = async () => {}

  connect = async (): Promise<void> => {}
  disconnect = async (): Promise<void> => {}

  sendBatch = async ({ topicMessages = [] }: ProducerBatch): Promise<RecordMetadata[]> => {
    assert.ok(!this.#busy, 'one request at a time')
    this.#busy = true
    await this.answer()
    this.#busy = false
    const messages = topicMessages.flatMap(({ topic, messages }) => messages.map((message) => ({ topic, message })))
    if (messages.some(({ message }) => message.value?.toString() === 'bad')) throw new Error('refused')
    this.requests.push(messages.length)
    const bases = new Map<string, RecordMetadata>()
    for (const { topic, message } of messages) {
      const place = `${topic}/${message.partition}`
      const end = this.#ends.get(place) ?? 0
      if (!bases.has(place))
        bases.set(place, { topicName: topic, partition: message.partition ?? -1, errorCode: 0, baseOffset: String(end) })
      this.#ends.set(place, end + 1)
    }
    return [...bases.values()]
  }
}

function make(): { producer: Producer; publisher: Publisher } {
  const producer = new Producer()
  const topics = { get: async () => ({ partitions: 2, compacted: false }), nameOf: (topic: string) => `p.${topic}` }
  return { producer, publisher: new Publisher({ producer: () => producer } as unknown as Kafka, topics as unknown as Topics) }
}

function records(partition: number, ...values: (string | Buffer)[]): OutgoingRecord[] {
  return values.map((value) => ({ topic: 't', key: null, value: Buffer.from(value), headers: {}, timestamp: 1, partition }))
}

test('sends what waits in one request, in order, and says where each record lies', async () => {
  const { producer, publisher } = make()
  const gate = Promise.withResolvers<void>()
  producer.answer = () => gate.promise
  const first = publisher.publish(records(0, 'a'))
  const second = publisher.publish([...records(1, 'b'), ...records(0, 'c')])
  const third = publisher.publish(records(1, 'd', 'e'))
  await new Promise((resolve) => setImmediate(resolve))
  gate.resolve()
  const at = (partition: number, offset: number): unknown => ({ topic: 't', partition, offset })
  assert.deepEqual(await first, [at(0, 0)])
  assert.deepEqual(await second, [at(1, 0), at(0, 1)])
  assert.deepEqual(await third, [at(1, 1), at(1, 2)])
  assert.deepEqual(producer.requests, [1, 4])
})

test('forgets no call, however soon after another it comes', async () => {
  const tick = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) await Promise.resolve()
  }
  for (let ticks = 0; ticks < 40; ticks++) {
    const { producer, publisher } = make()
    let second: Promise<unknown> | undefined
    // The second call comes from elsewhere while the first is under way, and reaches the queue so many microtasks later.
    producer.answer = async () => {
      second ??= tick(ticks).then(() => publisher.publish(records(0, 'b')))
      await tick(10)
    }
    await publisher.publish(records(0, 'a'))
    const answered = await Promise.race([second, new Promise((resolve) => setImmediate(resolve, 'forgotten'))])
    assert.deepEqual(answered, [{ topic: 't', partition: 0, offset: 1 }], `after ${ticks} microtasks`)
  }
})

test('fails only the call whose record is refused', async () => {
  const { producer, publisher } = make()
  const gate = Promise.withResolvers<void>()
  producer.answer = () => gate.promise
  const calls = [publisher.publish(records(0, 'a')), ...['b', 'bad', 'c'].map((value) => publisher.publish(records(0, value)))]
  await new Promise((resolve) => setImmediate(resolve))
  gate.resolve()
  const outcomes = await Promise.allSettled(calls)
  assert.deepEqual(
    outcomes.map((outcome) =>
      outcome.status === 'fulfilled' ? outcome.value[0]?.offset : outcome.reason instanceof BusError && outcome.reason.code,
    ),
    [0, 1, 'BUS_UNAVAILABLE', 2],
  )
})

test('splits a call that no request can hold, and refuses what memory should not hold', async () => {
  const { producer, publisher } = make()
  const half = Buffer.alloc(400_000)
  const positions = await publisher.publish(records(0, half, half, half, half, half))
  assert.deepEqual(
    positions.map((position) => position.offset),
    [0, 1, 2, 3, 4],
  )
  // A batch of one partition stays under 1 MiB: two records of 400 kB.
  assert.deepEqual(producer.requests, [2, 2, 1])
  const large = Buffer.alloc(1_048_576)
  await assert.rejects(
    publisher.publish(records(0, ...Array.from({ length: 65 }, () => large))),
    (error) => error instanceof BusError && error.code === 'BUS_FULL',
  )
})
