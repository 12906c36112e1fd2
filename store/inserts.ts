import { setTimeout as delay } from 'node:timers/promises'
import type { ClickHouseClient } from '@clickhouse/client'
import { engineCode } from './errors.ts'

export interface Inserts {
  readonly client: ClickHouseClient
  readonly database: string
  readonly cluster: string | null
  /** No insert runs longer, milliseconds. */
  readonly longestMs: number
}

/** An answer that took longer says that the server is, or just was, held up: what waited beside it may not show yet. */
const promptMs = 250
const accessDenied = '497'

/**
 * Waits until the inserts into the database that run at the call have ended; later ones are not waited for. Where
 * `system.processes` may not be read (grant SELECT on it), waits as long as an insert can run.
 */
export async function insertsEnded(inserts: Inserts): Promise<void> {
  try {
    await looked(inserts)
  } catch (error) {
    if (engineCode(error) !== accessDenied) throw error
    await delay(inserts.longestMs)
  }
}

async function looked(inserts: Inserts): Promise<void> {
  let waiting = await runningPromptly(inserts)
  while (waiting.length > 0) {
    await delay(100)
    const still = new Set(await running(inserts))
    waiting = waiting.filter((id) => still.has(id))
  }
}

async function runningPromptly(inserts: Inserts): Promise<string[]> {
  for (;;) {
    const asked = performance.now()
    const ids = await running(inserts)
    if (performance.now() - asked <= promptMs) return ids
    await delay(promptMs)
  }
}

async function running({ client, database, cluster }: Inserts): Promise<string[]> {
  const processes = cluster === null ? 'system.processes' : `clusterAllReplicas('${cluster}', system.processes)`
  const query = `SELECT query_id AS id FROM ${processes} WHERE current_database = '${database}' AND query_kind = 'Insert'`
  // JSON as a whole says where it ends: of an answer that was cut on the way, an insert would be missed.
  const result = await client.query({ query, format: 'JSONCompact' })
  return (await result.json<[string]>()).data.map(([id]) => id)
}
