import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { gunzipSync } from 'node:zlib'
import { verifyProof } from '../../audit/proof.ts'
import { type EntryFilter, exportAll, type KeptEntry, Prover } from '../../audit/source.ts'
import { verifyExport } from '../../audit/verify.ts'
import { newEvent } from '../../bus/codec.ts'
import { readExport, writeExport } from '../../cli/audit-file.ts'
import { StoredAudit } from '../../cli/audit-store.ts'
import type { Client } from '../../cli/client.ts'
import type { CordonEvent } from '../../schemas/index.ts'
import { openStore, rowOf, type Store } from '../../store/index.ts'
import { entry, exported, openKept, silent, start, temporaryDir } from './fixture.ts'

let store: Store
let audit: StoredAudit
let dir = ''
let lines: string[] = []
let publicKeys: string[] = []
const cleanups: (() => void)[] = []

/** What a node exported when its records did not say yet why a request was denied, and the key that signed it. */
const olderFile = new URL('before-denial.ndjson', import.meta.url)
const older = readFileSync(olderFile, 'utf8').trimEnd().split('\n')

/** As the log carried it. */
function olderEvents(): CordonEvent<'audit'>[] {
  return older.map((line, at) => {
    const text = line.startsWith('{"log"') ? line : (JSON.parse(line) as { checkpoint: string }).checkpoint
    const [, log = ''] = /(?:"log":"|node-0\/)([0-9a-f]{20})/.exec(text) ?? []
    const data = line.startsWith('{"log"')
      ? ({ form: 'record', seq: Number(/"seq":(\d+)/.exec(text)?.[1]) } as const)
      : ({ form: 'checkpoint', seq: Number(text.split('\n')[1]) } as const)
    return newEvent('audit', { writer: 'node-0', log, ...data, text }, 'node-0', start + at)
  })
}

/** The console's API with nothing between: what is asked goes to the store as JSON carries it. */
function clientOf(opened: Store): Client {
  const post = async (_path: string, { name, params }: { name: string; params: Record<string, unknown> }) =>
    JSON.parse(JSON.stringify(await opened.query(name, JSON.parse(JSON.stringify(params)))))
  return { post } as unknown as Client
}

async function entriesOf(filter: EntryFilter): Promise<KeptEntry[]> {
  const found: KeptEntry[] = []
  for await (const entries of audit.entries(filter)) found.push(...entries)
  return found
}

before(async () => {
  dir = temporaryDir({ after: (fn) => cleanups.push(fn) })
  const [one, two] = [openKept(join(dir, 'one'), { checkpointRecords: 1_000_000 }), openKept(join(dir, 'two'), { writer: 'orders@host' })]
  for (let number = 1; number <= 50; number++) {
    one.trail.append(entry(number, { prompt: number % 10 === 0 ? '\ud800 "€"\n\u0000\\'.repeat(number) : null }))
    if (number % 16 === 0) one.trail.checkpoint()
  }
  two.trail.append(entry(51, { principal: 'ana', method: 'order', operation: 'contain', resource: 'principal:mallory' }))
  two.trail.append(entry(52, { principal: 'erin', outcome: 'denied', status: 403, denial: 'undecided' }))
  two.trail.close()
  const events = [...olderEvents(), ...one.events, ...two.events]
  const [, olderKey = ''] = /"publicKey":"([^"]+)"/.exec(older[0] ?? '') ?? []
  publicKeys = [olderKey, ...[one, two].map(({ trail }) => trail.state().publicKey)]
  lines = exported(events)
  store = await openStore({ path: join(dir, 'store'), log: silent })
  await store.migrate()
  // Out of order, as partitions and retries bring them.
  const rows = [...events].reverse().map((event, offset) => rowOf(event, { topic: 'audit', partition: 0, offset }))
  await store.insert('audit', rows, 'audit')
  audit = new StoredAudit(clientOf(store))
})
after(async () => {
  await store.close()
  for (const cleanup of cleanups) cleanup()
})

describe('a trail in the store', () => {
  test('comes back byte for byte, in order, and is whole', async () => {
    for (const name of ['export.ndjson', 'export.ndjson.gz']) {
      const file = join(dir, name)
      await writeExport(file, exportAll(audit))
      const bytes = readFileSync(file)
      assert.deepEqual((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString().trimEnd().split('\n'), lines)
      const verdict = await verifyExport(readExport(file), { keys: publicKeys })
      assert.deepEqual([verdict.problems, verdict.records, verdict.logs.length, verdict.unsigned], [[], 58, 3, 2])
    }
  })

  test('is found by principal, and by id', async () => {
    const found = async (filter: EntryFilter) => {
      return (await entriesOf(filter)).map(({ text }) => JSON.parse(text).tokensIn as number)
    }
    assert.deepEqual(
      await found({ principal: 'bob' }),
      Array.from({ length: 17 }, (_, i) => 3 * i + 1),
    )
    assert.deepEqual(await found({ id: entry(7).id }), [7])
    assert.deepEqual(await found({ since: start + 20, until: start + 23 }), [20, 21, 22])
    assert.deepEqual(await found({ principal: 'ana' }), [51])
    const columns = 'operation, resource, principal, outcome, cost'
    assert.deepEqual((await store.sql(`SELECT ${columns} FROM audit WHERE principal = 'ana'`)).rows, [
      { operation: 'contain', resource: 'principal:mallory', principal: 'ana', outcome: 'served', cost: 0.25 },
    ])
  })

  test('tells why a request was denied, where its record says it, and keeps older records as they are', async () => {
    const { rows } = await store.sql("SELECT writer, seq, outcome, denial FROM audit WHERE outcome != '' ORDER BY writer, seq LIMIT 3")
    assert.deepEqual(rows, [
      { writer: 'node-0', seq: 1, outcome: 'served', denial: null },
      { writer: 'node-0', seq: 2, outcome: 'denied', denial: null },
      { writer: 'node-0', seq: 3, outcome: 'denied', denial: null },
    ])
    const denied = await store.sql("SELECT principal, denial, text FROM audit WHERE denial != '' ORDER BY seq")
    assert.deepEqual(
      denied.rows.map(({ principal, denial, text }) => [principal, denial, JSON.parse(String(text)).denial]),
      [['erin', 'undecided', 'undecided']],
    )
    const texts = (await entriesOf({ principal: 'dora' })).map(({ text }) => text)
    assert.deepEqual(
      texts,
      older.filter((line) => line.includes('"kind":"entry"')),
    )
    const verdict = await verifyExport(readExport(fileURLToPath(olderFile)), { keys: publicKeys })
    assert.deepEqual([verdict.ok, verdict.records], [true, 4])
  })

  test('proves a record with the key of its writer, once a checkpoint covers it', async () => {
    const prover = new Prover(audit)
    for await (const entries of audit.entries({})) {
      for (const one of entries) {
        const proof = await prover.prove(one, publicKeys)
        // Records 49 and 50 of the first log came after its last checkpoint.
        if (one.writer === 'node-1' && one.seq > 48) assert.equal(proof, null)
        else assert.ok(verifyProof(proof, publicKeys).ok, `${one.writer} ${one.seq}`)
      }
    }
    assert.deepEqual(
      (await audit.keys()).map(({ publicKey }) => publicKey),
      publicKeys,
    )
  })

  test('that somebody changed there is told of, and nothing is proved of it', async () => {
    await store.client.command({
      query: `ALTER TABLE audit UPDATE text = replace(text, '"tokensIn":9,', '"tokensIn":8,') WHERE seq = 9 AND writer = 'node-1' SETTINGS mutations_sync = 2`,
    })
    await store.client.command({ query: `ALTER TABLE audit DELETE WHERE seq = 20 AND form = 'record' SETTINGS mutations_sync = 2` })
    const { problems } = await verifyExport(exportAll(audit), { keys: publicKeys })
    assert.deepEqual(
      problems.map(({ kind, seq }) => `${kind} ${seq}`),
      ['changed 9', 'dropped 20'],
    )
    const [changed] = await entriesOf({ id: entry(9).id })
    assert.ok(changed !== undefined)
    await assert.rejects(new Prover(audit).prove(changed, publicKeys), { code: 'AUDIT_UNREADABLE' })
  })

  test('is told from a file that is none', async () => {
    const file = join(dir, 'nonsense.ndjson.gz')
    writeFileSync(file, 'nonsense')
    await assert.rejects(verifyExport(readExport(file), { keys: [] }), { code: 'AUDIT_UNREADABLE' })
    writeFileSync(join(dir, 'empty'), '')
    assert.equal((await verifyExport(readExport(join(dir, 'empty')), { keys: [] })).ok, false)
  })
})
