import type { BusRecord } from '../../bus/port.ts'

/** The records of several partitions in the order in which the log took them; those of one partition keep theirs. */
export async function* merged(streams: readonly AsyncIterable<readonly BusRecord[]>[]): AsyncGenerator<BusRecord> {
  const cursors = await Promise.all(
    streams.map(async (stream) => {
      const records = each(stream)
      return { records, next: await records.next() }
    }),
  )
  for (;;) {
    let first: (typeof cursors)[number] | undefined
    for (const cursor of cursors) {
      if (cursor.next.done === true) continue
      if (first === undefined || first.next.done === true || isBefore(cursor.next.value, first.next.value)) first = cursor
    }
    if (first === undefined || first.next.done === true) return
    yield first.next.value
    first.next = await first.records.next()
  }
}

async function* each(stream: AsyncIterable<readonly BusRecord[]>): AsyncGenerator<BusRecord, undefined> {
  for await (const records of stream) yield* records
  return undefined
}

function isBefore(a: BusRecord, b: BusRecord): boolean {
  return a.timestamp === b.timestamp ? a.partition < b.partition : a.timestamp < b.timestamp
}
