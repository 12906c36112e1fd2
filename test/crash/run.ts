import assert from 'node:assert/strict'
import type { ContainmentView, InstanceStatus } from '../../console/port.ts'
import { seeded } from '../attacks/random.ts'
import { startInstance, until } from '../end-to-end/instance.ts'
import { type Ledger, startLoad } from './load.ts'
import { undisturbed } from './undisturbed.ts'

export interface CrashVerdict {
  readonly kills: number
  readonly acknowledgedFlows: number
  readonly answers: number
  readonly lost: number
  readonly duplicated: number
  readonly findings: number
  readonly findingsDiffering: number
  readonly leasesWrong: number
}

const heldTarget = 'principal:held'

/**
 * Kills a loaded instance at random moments and starts it again, then compares what was promised with what is there: events
 * in the store, findings with those of a replay that nothing disturbed, a lease with its enforcement.
 */
export async function crashRun(dataDir: string, kills: number, seed: number, say: (line: string) => void): Promise<CrashVerdict> {
  const random = seeded(seed)
  let instance = await startInstance({ dataDir })
  const keys = new Map<string, string>()
  for (const principal of ['reader-1', 'reader-2', 'reader-3', 'held']) keys.set(principal, (await instance.createKey(principal)).key)
  await instance.api('/api/containments', {
    target: heldTarget,
    action: 'deny-principal',
    parameters: {},
    forMs: 6 * 3_600_000,
    reason: 'held through every crash',
    by: 'test',
  })
  const heldKey = keys.get('held') ?? ''
  keys.delete('held')
  const load = startLoad(keys, seed)
  let leasesWrong = 0
  try {
    for (let kill = 1; kill <= kills; kill++) {
      load.target = instance
      if (kill % 2 === 1) load.attack(`prober-${kill}`, (await instance.createKey(`prober-${kill}`)).key, seed * 1_000 + kill)
      await new Promise((resolve) => setTimeout(resolve, random.between(50, 1_500)))
      load.target = null
      await instance.kill()
      instance = await startInstance({ dataDir })
      if (!(await isHeld(instance.inference, heldKey))) leasesWrong++
      if (kill % 10 === 0) say(`killed ${kill} times; ${load.ledger.flows.size} flows acknowledged, ${total(load.ledger)} answers`)
    }
    load.target = instance
    await new Promise((resolve) => setTimeout(resolve, 1_000))
  } finally {
    await load.stop()
  }
  await until(
    'everything is handled',
    async () => {
      const { lag } = await instance.api<InstanceStatus>('/api/status')
      return lag.sink + lag.detect + lag.respond === 0 ? true : undefined
    },
    60_000,
  )
  const { containments } = await instance.api<{ containments: ContainmentView[] }>('/api/containments')
  if (!containments.some((c) => c.target === heldTarget && c.state === 'active')) leasesWrong++
  const sql = async (text: string) => (await instance.api<{ rows: Record<string, unknown>[] }>('/api/query', { sql: text })).rows
  const stored = await storedCounts(sql)
  const lost = (await lostFlows(sql, load.ledger)) + (await lostAnswers(sql, load.ledger))
  const storedFindings = new Set((await sql('SELECT finding AS id, revision FROM findings')).map((row) => `${row.id}/${row.revision}`))
  assert.equal(await instance.stop(), 0, `the last instance did not stop in order:\n${instance.log()}`)
  const expected = await undisturbed(dataDir)
  const differing =
    [...expected].filter((id) => !storedFindings.has(id)).length + [...storedFindings].filter((id) => !expected.has(id)).length
  return {
    kills,
    acknowledgedFlows: load.ledger.flows.size,
    answers: total(load.ledger),
    lost,
    duplicated: stored.duplicated,
    findings: expected.size,
    findingsDiffering: differing,
    leasesWrong,
  }
}

type Sql = (text: string) => Promise<Record<string, unknown>[]>

async function isHeld(inference: string, key: string): Promise<boolean> {
  const answer = await fetch(`${inference}/v2/models/digits/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: new Array(784).fill(0) }] }),
  })
  await answer.arrayBuffer()
  return answer.status === 403
}

async function storedCounts(sql: Sql): Promise<{ duplicated: number }> {
  let duplicated = 0
  for (const table of ['requests', 'fingerprints', 'flows', 'telemetry', 'findings', 'actions', 'containments', 'acknowledgements']) {
    const [row] = await sql(`SELECT count() - uniqExact(id) AS extra FROM ${table}`)
    duplicated += Number(row?.extra ?? 0)
  }
  return { duplicated }
}

async function lostFlows(sql: Sql, ledger: Ledger): Promise<number> {
  const ids = [...ledger.flows]
  let there = 0
  for (let i = 0; i < ids.length; i += 500) {
    const some = ids.slice(i, i + 500).map((id) => `'${id}'`)
    const [row] = await sql(`SELECT uniqExact(id) AS n FROM flows WHERE id IN (${some.join(',')})`)
    there += Number(row?.n ?? 0)
  }
  return ids.length - there
}

/** A principal must have at least as many served requests on record as it got answers: a lost event shows as a deficit. */
async function lostAnswers(sql: Sql, ledger: Ledger): Promise<number> {
  const rows = await sql("SELECT principal, count() AS served FROM requests WHERE outcome = 'served' GROUP BY principal")
  const served = new Map(rows.map((row) => [String(row.principal), Number(row.served)]))
  let lost = 0
  for (const [principal, answers] of ledger.answers) lost += Math.max(0, answers - (served.get(principal) ?? 0))
  return lost
}

function total(ledger: Ledger): number {
  let sum = 0
  for (const answers of ledger.answers.values()) sum += answers
  return sum
}
