import type { Message } from 'kafkajs'
import type { OutgoingRecord, Position } from '../port.ts'
import type { Lane } from './lane.ts'

/** One record on its way. */
export interface Item {
  readonly job: Job
  readonly place: number
  readonly message: Message
  readonly bytes: number
}

/** One call of publish. */
export interface Job {
  readonly positions: Position[]
  readonly lanes: Set<Lane<Item>>
  /** By the monotonic clock. */
  readonly until: number
  missing: number
  over: boolean
  readonly resolve: (positions: readonly Position[]) => void
  readonly reject: (error: unknown) => void
}

/** Some of a lane's records, in one request. */
export interface Parcel {
  readonly lane: Lane<Item>
  readonly items: readonly Item[]
}

/** What a broker says of a produce request. */
export interface ProduceAnswer {
  readonly topics: readonly {
    readonly topicName: string
    readonly partitions: readonly { readonly partition: number; readonly baseOffset: string }[]
  }[]
}

/** Bytes of one request, and of one partition in it: the broker refuses batches above 2 MiB. */
const requestBytes = 8_388_608
const batchBytes = 1_048_576

/** What fits one request. A lane whose last request failed goes alone, so that others do not fail with it. */
export function pack(lanes: readonly Lane<Item>[]): readonly Parcel[] {
  const [first] = lanes
  const together = first?.alone === true ? [first] : lanes.filter((lane) => !lane.alone)
  const parcels: Parcel[] = []
  let room = requestBytes
  for (const lane of together) {
    if (room <= 0) break
    const items = lane.take(Math.min(room, batchBytes))
    room -= items.reduce((sum, item) => sum + item.bytes, 0)
    parcels.push({ lane, items })
  }
  return parcels
}

/** Records of several lanes, by their lane. */
export function parcelsOf(parts: readonly { readonly lane: Lane<Item>; readonly item: Item }[]): readonly Parcel[] {
  return [...Map.groupBy(parts, ({ lane }) => lane)].map(([lane, each]) => ({ lane, items: each.map(({ item }) => item) }))
}

/** As a produce request has them. */
export function topicDataOf(parcels: readonly Parcel[]) {
  return [...Map.groupBy(parcels, ({ lane }) => lane.name)].map(([topic, each]) => ({
    topic,
    partitions: each.map(({ lane, items }) => ({
      partition: lane.partition,
      firstSequence: 0,
      messages: items.map(({ message }) => message),
    })),
  }))
}

/**
 * The offset of each parcel's first record.
 *
 * @throws Error where the broker says nothing of one
 */
export function basesOf(parcels: readonly Parcel[], { topics }: ProduceAnswer): readonly (readonly [Parcel, number])[] {
  const bases = new Map(
    topics.flatMap(({ topicName, partitions }) =>
      partitions.map(({ partition, baseOffset }) => [`${topicName}/${partition}`, Number(baseOffset)] as const),
    ),
  )
  return parcels.map((parcel) => {
    const { name, partition } = parcel.lane
    const base = bases.get(`${name}/${partition}`)
    if (base === undefined) throw new Error(`the broker said nothing of ${name}/${partition}`)
    return [parcel, base]
  })
}

/** About as many bytes as the record takes of a request. */
export function sizeOf(record: OutgoingRecord): number {
  let bytes = 64 + 3 * (record.key?.length ?? 0) + (record.value?.length ?? 0)
  for (const name in record.headers) bytes += 8 + name.length + (record.headers[name]?.length ?? 0)
  return bytes
}
