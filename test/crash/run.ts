import assert from 'node:assert/strict'
import { join } from 'node:path'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { ContainmentView, InstanceStatus } from '../../console/port.ts'
import { isOfTheShell } from '../../pipeline/host/lane/unseen.ts'
import { seeded } from '../attacks/random.ts'
import { blankQuery } from '../end-to-end/blank-query.ts'
import { startInstance, until } from '../end-to-end/instance.ts'
import { countDuplicates, countMissing } from '../end-to-end/stored.ts'
import { compareFindings } from './compare-findings.ts'
import { startLoad } from './load.ts'

export interface CrashVerdict {
  readonly kills: number
  readonly acknowledgedFlows: number
  readonly answers: number
  readonly lost: number
  readonly duplicated: number
  /** Actions that were carried out more than once. */
  readonly repeated: number
  readonly findings: number
  readonly findingsDiffering: number
  readonly leasesWrong: number
}

const heldTarget = 'principal:held'
const brieflyTarget = 'principal:briefly'

/**
 * Kills a loaded instance at random moments and starts it again, then compares what was promised with what is there: events
 * in the store, findings with those of a replay that nothing disturbed, a lease with its enforcement.
 */
export async function crashRun(dataDir: string, kills: number, seed: number, say: (line: string) => void): Promise<CrashVerdict> {
  const random = seeded(seed)
  let instance = await startInstance({ dataDir })
  const keyOf = async (principal: string) => (await instance.createKey(principal)).key
  const contain = (target: string, forMs: number, reason: string) =>
    instance.api('/api/containments', { target, action: 'deny-principal', parameters: {}, forMs, reason, by: 'test' })
  const heldKey = await keyOf('held')
  const brieflyKey = await keyOf('briefly')
  await contain(heldTarget, 6 * 3_600_000, 'held through every crash')
  await contain(brieflyTarget, 2_000, 'over after the first crashes')
  const load = startLoad([await keyOf('reader-1'), await keyOf('reader-2'), await keyOf('reader-3')], seed)
  let leasesWrong = 0
  try {
    for (let kill = 1; kill <= kills; kill++) {
      load.target = instance
      if (kill % 2 === 1) load.attack(await keyOf(`prober-${kill}`), seed * 1_000 + kill)
      await new Promise((resolve) => setTimeout(resolve, random.between(50, 1_500)))
      load.target = null
      await instance.kill()
      instance = await startInstance({ dataDir })
      if (!(await isHeld(instance.inference, heldKey))) leasesWrong++
      if (kill % 10 === 0) say(`killed ${kill} times; ${load.ledger.flows.size} flows acknowledged, ${load.ledger.answers.size} answers`)
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
      return lag !== null && lag.sink + lag.detect + lag.respond === 0 ? true : undefined
    },
    60_000,
  )
  if (await isHeld(instance.inference, brieflyKey)) leasesWrong++
  const { containments } = await instance.api<{ containments: ContainmentView[] }>('/api/containments')
  if (!containments.some((c) => c.target === heldTarget && c.state === 'active')) leasesWrong++
  if (!containments.some((c) => c.target === brieflyTarget && c.state === 'expired' && c.endedAt === c.until)) leasesWrong++
  const sql = async (text: string) => (await instance.api<{ rows: Record<string, unknown>[] }>('/api/query', { sql: text })).rows
  const duplicated = await countDuplicates(sql)
  const [executed] = await sql("SELECT count() - uniqExact(action) AS extra FROM actions WHERE state = 'executed'")
  const repeated = Number(executed?.extra)
  const { flows, answers } = load.ledger
  const lost =
    (await countMissing(sql, flows, 'id', 'flows')) +
    (await countMissing(sql, answers, 'id', "requests WHERE outcome = 'served'")) +
    (await countMissing(sql, answers, 'request', 'fingerprints'))
  const rows = await sql('SELECT finding AS id, revision, detector, scope, evidence FROM findings')
  const ofRecords = rows.filter(
    ({ detector, evidence }) => !isOfTheShell({ detector: String(detector), evidence: JSON.parse(String(evidence)) }),
  )
  const storedFindings = new Set(ofRecords.map((row) => `${row.id}/${row.revision}`))
  assert.equal(await instance.stop(), 0, `the last instance did not stop in order:\n${instance.log()}`)
  const bus = await createEmbeddedBus({ path: join(dataDir, 'log') })
  const { expected, missing, extra } = await compareFindings(bus, storedFindings).finally(() => bus.close())
  for (const { id, revision } of missing) say(`missing: finding ${id}/${revision}`)
  for (const id of extra) say(`extra: finding ${id}`)
  const differing = missing.length + extra.length
  return {
    kills,
    acknowledgedFlows: flows.size,
    answers: answers.size,
    lost,
    duplicated,
    repeated,
    findings: expected.size,
    findingsDiffering: differing,
    leasesWrong,
  }
}

async function isHeld(inference: string, key: string): Promise<boolean> {
  return (await blankQuery(inference, key)) === 403
}
