import { decode } from '../../../bus/codec.ts'
import { Fence } from '../../../bus/fence.ts'
import type { EventBus } from '../../../bus/port.ts'
import type { TopicName } from '../../../schemas/index.ts'

/** Everything of a topic that counts for its readers, oldest first. */
export async function countingOf<T>(bus: EventBus, topic: TopicName): Promise<T[]> {
  const fence = new Fence(topic)
  const found: T[] = []
  for (const { partition, start } of await bus.partitions(topic)) {
    for await (const records of bus.read(topic, partition, start)) {
      for (const record of records) if (fence.judge(record) === 'counts' && record.value !== null) found.push(decode(record).data as T)
    }
  }
  return found
}
