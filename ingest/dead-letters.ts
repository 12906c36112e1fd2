import { decode } from '../bus/codec.ts'
import type { BusRecord, EventBus } from '../bus/port.ts'
import type { DeadLetter, EventId, Instant } from '../schemas/index.ts'

/** A record that was given up. */
export interface Letter extends DeadLetter {
  /** The id of its event. */
  readonly id: EventId
  /** Who gave it up, or sent what an intake refused. */
  readonly source: string
}

export interface LetterFilter {
  /** Only records of this topic. */
  readonly topic?: string | undefined
  /** Only those given up at or after this time. */
  readonly since?: Instant | undefined
  readonly limit: number
}

const topic = 'dead-letters'
/** Letters are up to 11 kB each. */
const readAtOnce = 500
/** Looked at for one answer; some seconds. */
const mostRead = 1_000_000

/** The newest letters, newest last; each once, however often its record was given up. */
export async function listDeadLetters(bus: EventBus, { topic: from, since, limit }: LetterFilter): Promise<readonly Letter[]> {
  const found = new Map<EventId, Letter>()
  for (const { partition, start, end } of await bus.partitions(topic)) {
    const first = since === undefined ? start : ((await bus.offsetsAt(topic, since)).get(partition) ?? start)
    let left = limit
    for await (const record of backwards(bus, partition, Math.max(start, first), end)) {
      if (left === 0) break
      const letter = letterIn(record)
      if (letter === null || found.has(letter.id)) continue
      if ((from !== undefined && letter.topic !== from) || (since !== undefined && letter.at < since)) continue
      found.set(letter.id, letter)
      left--
    }
  }
  return [...found.values()].toSorted((a, b) => a.at - b.at).slice(-limit)
}

/** Undefined where there is none of this id on the topic, or not among the newest million. */
export async function getDeadLetter(bus: EventBus, id: EventId): Promise<Letter | undefined> {
  const wanted = id.toLowerCase()
  for (const { partition, start, end } of await bus.partitions(topic)) {
    for await (const record of backwards(bus, partition, start, end)) {
      if (record.headers.ce_id?.toLowerCase() !== wanted) continue
      const letter = letterIn(record)
      if (letter !== null) return letter
    }
  }
  return undefined
}

async function* backwards(bus: EventBus, partition: number, start: number, end: number): AsyncGenerator<BusRecord> {
  const last = Math.max(start, end - mostRead)
  for (let until = end; until > last; ) {
    const from = Math.max(last, until - readAtOnce)
    const records: BusRecord[] = []
    for await (const some of bus.read(topic, partition, from, until)) records.push(...some)
    yield* records.toReversed()
    until = from
  }
}

/** Null for what is no letter. */
function letterIn(record: BusRecord): Letter | null {
  try {
    const event = decode(record)
    return event.kind === 'dead-letter' ? { ...event.data, id: event.id, source: event.source } : null
  } catch {
    return null
  }
}
