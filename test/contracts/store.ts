import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { after, before, describe, it } from 'node:test'
import type { EventOf } from '../../schemas/index.ts'
import type { Row, Store } from '../../store/index.ts'
import { listQueries, rowOf, tableOf, tables } from '../../store/index.ts'
import { allowedSql, refusedSql } from '../store/reader-sql.ts'
import * as story from '../store/story.ts'

/** A fresh database and the store on it; `close` takes both away. */
export type StoreFactory = () => Promise<{ readonly store: Store; close(): Promise<void> }>

/**
 * What holds of a store on any engine. For a server: `storeContract('server', …openStore({ url, database }))`, with a
 * read limit of 2 s and 5,000 rows.
 */
export function storeContract(name: string, factory: StoreFactory): void {
  describe(`store on ${name}`, () => {
    let store: Store
    let close: () => Promise<void>
    before(async () => {
      ;({ store, close } = await factory())
      await store.migrate()
    })
    after(() => close())
    const count = async (table: string) => (await store.sql(`SELECT count() AS rows, uniqExact(id) AS ids FROM ${table}`)).rows[0]

    it('answers a ping', async () => {
      assert.equal(await store.ping(), true)
    })

    it('migrates once', async () => {
      const again = await store.migrate()
      assert.deepEqual(
        again.map((one) => [one.name, one.applied]),
        [
          ['001-events.sql', false],
          ['002-decisions.sql', false],
          ['003-orders.sql', false],
          ['004-late-inserts.sql', false],
          ['005-generations.sql', false],
          ['006-prompts.sql', false],
          ['007-audit.sql', false],
          ['008-policy.sql', false],
          ['009-denial.sql', false],
          ['010-audit-denial.sql', false],
        ],
      )
    })

    it('has a table for each kind of event, retention and the deduplication window included', async () => {
      for (const table of tables) {
        const [row] = (await store.sql(`SHOW CREATE TABLE ${table}`)).rows
        assert.match(String(row?.statement), /non_replicated_deduplication_window = 1000/)
        // A trail that loses its beginning by itself proves nothing: whoever keeps it decides.
        if (table !== 'audit') assert.match(String(row?.statement), /TTL toDateTime\(ingested\)/)
      }
      const kinds = ['tick', 'key', 'model', 'risk', 'heartbeat', 'term'] as const
      assert.deepEqual(
        kinds.map((kind) => tableOf(kind)),
        [null, null, null, null, null, null],
      )
    })

    it('keeps every field of an event', async () => {
      const id = randomUUID()
      const event = {
        kind: 'fingerprint',
        id,
        time: story.start + 7,
        source: 'node-1',
        data: { ...story.fingerprint, sketch: story.int16([-3, 32_767]) },
      } as const
      await store.insert('fingerprints', [rowOf(event, { topic: 'fingerprints', partition: 2, offset: 41 })], 'field')
      const { rows } = await store.sql(`SELECT * EXCEPT ingested FROM fingerprints WHERE id = '${id}'`)
      const { sketch: _sketch, bands: _bands, output, ...rest } = story.fingerprint
      assert.deepEqual(rows, [
        {
          ...rest,
          ...output,
          id,
          time: '2026-01-01T00:00:00.007Z',
          source: 'node-1',
          topic: 'fingerprints',
          partition: 2,
          offset: 41,
          sketch: [-3, 32_767],
          bands: [7, 4_294_967_295],
        },
      ])
    })

    it('keeps every field of a prompt, its chunks as numbers, and the defaults where it was not sampled', async () => {
      const ids = [randomUUID(), randomUUID()]
      const events = [story.prompt, { ...story.prompt, sampling: null }].map(
        (data, n) => ({ kind: 'prompt', id: ids[n] ?? '', time: story.start, source: 'node-1', data }) as const,
      )
      const rows = events.map((event, offset) => rowOf(event, { topic: 'prompts', partition: 0, offset }))
      await store.insert('prompts', rows, 'prompts')
      const { rows: stored } = await store.sql(
        `SELECT * EXCEPT (ingested, id, time, source, topic, partition, offset) FROM prompts WHERE id IN ('${ids.join("', '")}') ORDER BY offset`,
      )
      const { chunks: _, sampling, ...rest } = story.prompt
      const { logitBias: _bias, ...sampled } = sampling ?? {}
      const kept = {
        ...rest,
        keyCreatedAt: '2026-01-01T00:00:00.000Z',
        chunks: [7, 4_294_967_295],
        chunkLengths: [11, 255],
        chunkSurprises: [24, 255],
      }
      const bias = { biasedTokens: 3, largestBias: 100, biasHash: '00000000000000bb' }
      const plain = { temperature: null, topP: null, maxTokens: null, choices: 1, topLogprobs: 0 }
      assert.deepEqual(stored, [
        { ...kept, ...sampled, ...bias },
        { ...kept, ...plain, biasedTokens: 0, largestBias: 0, biasHash: null },
      ])
    })

    it('keeps an order without the hash of a key, wherever it carries it', async () => {
      const hash = 'f'.repeat(64)
      const key = {
        ...{ id: 'abcdefghijkl', principal: 'alice', organization: null, hash, state: 'active' as const },
        ...{ createdAt: story.start, expiresAt: null, revokedAt: null, replaces: null },
        ...{ addresses: [], origins: [], roles: [], capabilities: ['inference' as const] },
      }
      const orders = [{ kind: 'create-key', key } as const, { kind: 'claim-key', what: 'alice', hash } as const]
      const rows = orders.map((order, offset) =>
        rowOf(
          { kind: 'command', id: randomUUID(), time: story.start, source: 'console', data: { ...story.command, order } },
          { topic: 'commands', partition: 0, offset },
        ),
      )
      const answer: EventOf<'outcome'> = {
        kind: 'outcome',
        id: randomUUID(),
        time: story.start,
        source: 'respond',
        data: { ...story.outcome, result: [key] },
      }
      await store.insert('commands', rows, 'orders')
      await store.insert('outcomes', [rowOf(answer, { topic: 'outcomes', partition: 0, offset: 0 })], 'answers')
      const stored = await store.sql('SELECT kind, subject, parameters FROM commands ORDER BY offset')
      assert.deepEqual(
        stored.rows.map(({ kind, subject }) => [kind, subject]),
        [
          ['create-key', 'principal:alice'],
          ['claim-key', 'alice'],
        ],
      )
      const answers = await store.sql('SELECT result FROM outcomes')
      assert.doesNotMatch(JSON.stringify([stored.rows, answers.rows]), /ffff|hash/)
      assert.match(JSON.stringify([stored.rows, answers.rows]), /abcdefghijkl/)
    })

    it('stores the same token with the same rows once', async () => {
      const rows = [telemetryRow(randomUUID(), 0), telemetryRow(randomUUID(), 1)]
      await store.insert('telemetry', rows, 'telemetry:0:0-1')
      await store.insert('telemetry', rows, 'telemetry:0:0-1')
      assert.deepEqual(await count('telemetry'), { rows: 2, ids: 2 })
      await store.insert('telemetry', [telemetryRow(randomUUID(), 2)], 'telemetry:0:2-2')
      assert.deepEqual(await count('telemetry'), { rows: 3, ids: 3 })
    })

    it('stores all rows of an insert or none, and says when trying again is no use', async () => {
      const before = await count('telemetry')
      const rows = [telemetryRow(randomUUID(), 3), { ...telemetryRow(randomUUID(), 4), queueDepth: 'many' }]
      await assert.rejects(store.insert('telemetry', rows, 'bad'), { name: 'CordonError', code: 'INSERT_REJECTED' })
      assert.deepEqual(await count('telemetry'), before)
    })

    it('keeps text as it was given, whatever is in it', async () => {
      const notes = ["it's", 'a\nb\tc\\', '"', '\u0000', '😀', "'); DROP TABLE telemetry --", '\ud800 half', '\\ud800', '{"a":1}']
      const rows = notes.map((note, offset) =>
        rowOf(
          { kind: 'action', id: randomUUID(), time: story.start, source: 's', data: { ...story.action, note } },
          { topic: 'actions', partition: 0, offset },
        ),
      )
      await store.insert('actions', rows, 'notes')
      const stored = await store.sql('SELECT note FROM actions ORDER BY offset')
      assert.deepEqual(
        stored.rows.map((row) => row.note),
        notes.map((note) => note.toWellFormed()),
      )
    })

    it('holds times that no calendar of its own reaches', async () => {
      const far = rowOf(
        { kind: 'flow', id: randomUUID(), time: 8.64e15, source: 's', data: story.flow },
        { topic: 'flows', partition: 0, offset: 0 },
      )
      const early = rowOf(
        { kind: 'flow', id: randomUUID(), time: 0, source: 's', data: story.flow },
        { topic: 'flows', partition: 0, offset: 1 },
      )
      await store.insert('flows', [far, early], 'far')
      const { rows } = await store.sql('SELECT time FROM flows ORDER BY offset')
      assert.deepEqual(rows, [{ time: '2299-12-31T23:59:59.999Z' }, { time: '1970-01-01T00:00:00.000Z' }])
    })

    it('finds known ids among neighbours and strangers', async () => {
      const ids = Array.from({ length: 3_000 }, (_, index) => story.idOf(`known-${index}`, story.start + index))
      const random = Array.from({ length: 50 }, () => randomUUID())
      await store.insert('acknowledgements', [...ids, ...random].map(ackRow), 'known')
      const absent = ids.slice(0, 10).map((_, index) => story.idOf(`absent-${index}`, story.start + index))
      assert.deepEqual(await store.known('acknowledgements', []), new Set())
      // A narrow range; one far too wide for what is asked; ids without time; capitals.
      assert.deepEqual(await store.known('acknowledgements', [...ids.slice(10, 20), ...absent]), new Set(ids.slice(10, 20)))
      assert.deepEqual(await store.known('acknowledgements', [ids[0] ?? '', ids[2_999] ?? '', ...absent]), new Set([ids[0], ids[2_999]]))
      assert.deepEqual(await store.known('acknowledgements', [...random.slice(0, 5), randomUUID()]), new Set(random.slice(0, 5)))
      assert.deepEqual(await store.known('acknowledgements', [(random[0] ?? '').toUpperCase()]), new Set([random[0]]))
      await assert.rejects(store.known('acknowledgements', ["'; --"]))
      // More than one statement holds, among more in the range than are asked for.
      const many = Array.from({ length: 12_000 }, () => randomUUID())
      await store.insert('acknowledgements', many.map(ackRow), 'many')
      const asked = [...many.slice(0, 6_500), ...Array.from({ length: 5_000 }, () => randomUUID())]
      await store.insert('acknowledgements', Array.from({ length: 30_000 }, () => randomUUID()).map(ackRow), 'others')
      assert.deepEqual(await store.known('acknowledgements', asked), new Set(many.slice(0, 6_500)))
    })

    it('refuses a table, a token and a query that do not exist or make no sense', async () => {
      await assert.rejects(store.insert('keys' as 'requests', [{ a: 1 }], 'x'), { code: 'UNKNOWN_TABLE' })
      await assert.rejects(store.insert('requests', [{ a: 1 }], "x', a = '"), { code: 'INSERT_REJECTED' })
      await assert.rejects(store.query('nonsense', {}), { code: 'UNKNOWN_QUERY' })
      await assert.rejects(store.query('cost', { by: 'colour' }), { code: 'BAD_PARAMETER' })
      await assert.rejects(store.query('cost', { bye: 'key' }), { code: 'BAD_PARAMETER' })
      await assert.rejects(store.query('principal-activity', {}), { code: 'BAD_PARAMETER' })
    })

    it('runs every query of the library with its example', async () => {
      for (const { name, example } of listQueries()) {
        const { columns } = await store.query(name, example)
        assert.ok(columns.length > 3, name)
      }
    })

    it('binds parameters and never reads them as SQL', async () => {
      const principal = "alice' OR 1 = 1 --\n\\"
      await store.insert('requests', [requestRow(randomUUID(), 'alice', 0), requestRow(randomUUID(), principal, 1)], 'bind')
      assert.equal((await store.query('principal-activity', { principal })).rows.length, 1)
    })

    for (const sql of allowedSql) {
      it(`lets readers run ${sql.slice(0, 60)}`, async () => {
        assert.ok((await store.sql(sql)).columns.length > 0)
      })
    }

    for (const { sql, why } of refusedSql) {
      it(`refuses ${why}: ${sql.slice(0, 70)}`, async () => {
        await assert.rejects(store.sql(sql), (error: { code: string }) => error.code === 'REFUSED_SQL' || error.code === 'QUERY_FAILED')
      })
    }

    it('refuses more text than anyone writes', async () => {
      await assert.rejects(store.sql(`SELECT '${'x'.repeat(70_000)}'`), { code: 'REFUSED_SQL' })
    })

    it('ends what takes too long', async () => {
      await assert.rejects(store.sql('SELECT max(sipHash64(number)) FROM numbers(1000000000000)'), { code: 'QUERY_LIMIT' })
    })

    it('cuts off what is too long, and says so', async () => {
      const some = await store.sql('SELECT number FROM numbers(100)', { limit: 10 })
      assert.deepEqual([some.rows.length, some.truncated], [10, true])
      const most = await store.sql('SELECT number FROM numbers(10000000)', { limit: 1e9 })
      assert.deepEqual([most.rows.length, most.truncated], [5_000, true])
      assert.equal((await store.sql('SELECT number FROM numbers(10)', { limit: 10 })).truncated, false)
    })

    it('refuses a row that is too large to be read', async () => {
      await assert.rejects(store.sql('SELECT range(9000000)'), { code: 'QUERY_LIMIT' })
    })

    it('gives nobody what a failed question had found', async () => {
      await assert.rejects(store.sql('SELECT throwIf(number = 3000), number FROM numbers(4000)'), { code: 'QUERY_FAILED' })
      for (let round = 0; round < 4; round++) assert.deepEqual((await store.sql(`SELECT ${round} AS round`)).rows, [{ round }])
      await assert.rejects(store.client.query({ query: 'SELECT throwIf(number = 99999) FROM numbers(1000000)', format: 'TabSeparated' }))
      assert.deepEqual(await store.known('requests', [randomUUID()]), new Set())
    })

    it('gives numbers as they are', async () => {
      const { rows } = await store.sql(
        "SELECT toUInt64(7) AS small, 18446744073709551615 AS large, [toInt64(-1)] AS list, nan AS none, '12' AS text, NULL AS nothing",
      )
      assert.deepEqual(rows, [{ small: 7, large: '18446744073709551615', list: [-1], none: null, text: '12', nothing: null }])
    })

    it('answers several questions at once, while it stores', async () => {
      const questions = Array.from({ length: 12 }, (_, index) => store.query('cost', { limit: index + 1 }))
      const insert = store.insert('requests', [requestRow(randomUUID(), 'bob', 2)], 'meanwhile')
      const answers = await Promise.all(questions)
      await insert
      assert.ok(answers.every((answer) => answer.rows.length > 0))
    })
  })
}

function telemetryRow(id: string, offset: number): Row {
  return rowOf(
    { kind: 'telemetry', id, time: story.start, source: 's', data: story.telemetry },
    { topic: 'telemetry', partition: 0, offset },
  )
}

function ackRow(id: string, offset: number): Row {
  const event = { kind: 'acknowledgement', id, time: story.start, source: 's', data: story.acknowledgement } as const
  return rowOf(event, { topic: 'acknowledgements', partition: 0, offset })
}

function requestRow(id: string, principal: string, offset: number): Row {
  const event = { kind: 'request', id, time: story.start, source: 's', data: { ...story.request, principal } } as const
  return rowOf(event, { topic: 'requests', partition: 0, offset })
}
