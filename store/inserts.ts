import { setTimeout as delay } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'

/** Waits until the inserts into the database that run at the call have ended; later ones are not waited for. */
export async function insertsEnded(client: ClickHouseClient, database: string): Promise<void> {
  let waiting = await running(client, database)
  while (waiting.length > 0) {
    await delay(100)
    const still = new Set(await running(client, database))
    waiting = waiting.filter((id) => still.has(id))
  }
}

async function running(client: ClickHouseClient, database: string): Promise<string[]> {
  const query = `SELECT query_id AS id FROM system.processes WHERE current_database = '${database}' AND query_kind = 'Insert'`
  const result = await client.query({ query, format: 'JSONEachRow' })
  return (await result.json<{ id: string }>()).map((row) => row.id)
}
