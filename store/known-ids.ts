import type { ClickHouseClient } from '@clickhouse/client'
import type { EventId } from '../schemas/index.ts'
import type { TableName } from './tables.ts'

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/**
 * Those of the ids that the table has already.
 *
 * Ids of one batch are mostly UUIDv7 of the same seconds, so they are first asked for as one range: two marks of
 * the projection and an answer that is nearly empty, 6 ms among two million. Where much else lies in the range
 * (ids without time, a replay across days) they are asked for one by one: 30 ms for 10,000.
 *
 * @param settings of the statement, such as a cluster needs; may be empty
 * @param ids UUIDs; letters in any case
 * @returns in lower case
 */
export async function knownIds(
  client: ClickHouseClient,
  table: TableName,
  ids: readonly EventId[],
  settings: string,
): Promise<ReadonlySet<EventId>> {
  const asked = new Set(ids.map((id) => id.toLowerCase()))
  let first = ''
  let last = ''
  for (const id of asked) {
    if (!uuid.test(id)) throw new TypeError(`an event id that is no UUID: ${JSON.stringify(id)}`)
    if (first === '' || id < first) first = id
    if (id > last) last = id
  }
  if (asked.size === 0) return asked
  const most = 2 * asked.size + 1_000
  const range = `toUInt128(id) BETWEEN toUInt128(toUUID('${first}')) AND toUInt128(toUUID('${last}'))`
  const end = settings === '' ? '' : ` SETTINGS ${settings}`
  const near = await read(client, `SELECT id FROM ${table} WHERE ${range} LIMIT ${most}${end}`)
  const found = near.length < most ? near : await oneByOne(client, table, [...asked], end)
  return new Set(found.filter((id) => asked.has(id)))
}

/** Ids of one statement: at 41 characters each, it stays below the 256 KiB that the engine parses. */
const idsAtOnce = 5_000

async function oneByOne(client: ClickHouseClient, table: TableName, ids: readonly EventId[], end: string): Promise<string[]> {
  const found: string[] = []
  for (let from = 0; from < ids.length; from += idsAtOnce) {
    // The ids stand in the text, having been checked above: bound parameters of the engine in process would wait
    // for every other query that has some.
    const quoted = ids.slice(from, from + idsAtOnce).map((id) => `\\'${id}\\'`)
    const list = `CAST('[${quoted.join(',')}]' AS Array(UUID))`
    found.push(
      ...(await read(client, `SELECT DISTINCT id FROM ${table} WHERE toUInt128(id) IN (SELECT toUInt128(arrayJoin(${list})))${end}`)),
    )
  }
  return found
}

/** In JSON, which says where it ends: of an answer that was cut on the way, an id that is missing would be stored again. */
async function read(client: ClickHouseClient, query: string): Promise<string[]> {
  const result = await client.query({ query, format: 'JSONCompact' })
  const { data } = await result.json<[string]>()
  return data.map(([id]) => id)
}
