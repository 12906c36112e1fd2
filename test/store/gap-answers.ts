import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { partitionOf } from '../../bus/partitioner.ts'
import { coverage } from '../../detectors/coverage/coverage.ts'
import { listed } from '../../detectors/registry.ts'
import { stateUnseen } from '../../pipeline/host/lane/unseen.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { HostInput, PartitionHost } from '../../pipeline/host/partition/partition-host.ts'
import type { Finding } from '../../schemas/index.ts'
import type { Store } from '../../store/index.ts'
import { observation, tick } from '../contracts/observations.ts'
import type { StoreFactory } from '../contracts/store.ts'
import { burst, hosted } from '../pipeline/host-toys.ts'
import { deadLetter, minute, Story, second, start, telemetry } from './story.ts'

const partitions = 4
const iso = (ms: number) => new Date(start + ms).toISOString()
const [alices, bobs] = [partitionOf('alice', partitions), partitionOf('bob', partitions)]
const digits = partitionOf('digits', partitions)
const workload = partitionOf('serving-a', partitions)

function feed(host: PartitionHost, given: readonly HostInput[]): Finding[] {
  return given.flatMap((event, offset) => host.apply(event, offset))
}

const at = (ms: number) => start + ms
const clock = (ms: number) => tick(1_000_000 + ms, at(ms))

/** Gaps as the host and its detectors state them. */
function gaps(): Finding[] {
  const host = (topic: string, partition: number) =>
    createPartitionHost([hosted(burst)], { topic, partition, partitions, latenessMs: 10 * second })
  const request = (n: number, ms: number, principal: string) => observation('request', n, at(ms), { principal })
  const hour = 60 * minute
  // An hour ahead when it shipped; the log took it at 20 s, and it is of 19.9 s.
  const skewed = {
    ...request(3, hour + 20 * second - 100, 'bob'),
    source: 'node-7',
    stamp: { appendedAt: at(20 * second), sentAt: at(hour + 20 * second) },
  }
  const node = (n: number, ms: number, data: object = {}) => observation('telemetry', n, at(ms), { emitted: n, ...data })
  return [
    // bob's events are late: 20 s, then 5 s and 4 s.
    ...feed(host('requests', bobs), [
      request(0, 20 * second, 'bob'),
      request(1, 5 * second, 'bob'),
      request(2, 4 * second, 'bob'),
      skewed,
      clock(200_000),
    ]),
    // Four keys fit: alice's makes room for the fifth.
    ...feed(host('requests', alices), [
      ...['alice', 'b', 'c', 'd', 'e'].map((name, n) => request(10 + n, n * second, name)),
      clock(200_000),
    ]),
    ...feed(host('fingerprints', digits), [
      observation('fingerprint', 20, at(60 * second), { principal: 'carol' }),
      observation('fingerprint', 21, at(2 * second), { principal: 'carol' }),
      clock(200_000),
    ]),
    ...feed(createPartitionHost([{ definition: listed(coverage), params: {} }], { topic: 'telemetry', partition: 0 }), [
      node(30, 0),
      node(31, 5 * second, { dropped: 3 }),
      node(32, 10 * second, { dropped: 3 }),
      clock(90_000),
      node(33, 100 * second, { dropped: 3, closing: true }),
    ]),
    stateUnseen(
      { topic: 'flows', partition: workload, partitions },
      { kind: 'retention', firstOffset: 3, lastOffset: 5, from: at(0), until: at(minute), worstMs: null },
    ),
    ...[10, 30].map((from) => {
      const gap = { firstOffset: from, lastOffset: from, from: at(from * second), until: at((from + 15) * second), worstMs: 12_500 }
      return stateUnseen({ topic: 'flows', partition: workload, partitions }, { kind: 'lagged', ...gap })
    }),
  ]
}

/** What the library answers about gaps, on any engine. Needs a store of its own. */
export function gapContract(name: string, factory: StoreFactory): void {
  describe(`the ledger of gaps on ${name}`, () => {
    let store: Store
    let close: () => Promise<void>
    before(async () => {
      ;({ store, close } = await factory())
      await store.migrate()
      const story = new Story()
      for (const finding of gaps()) story.tell('finding', finding.time, finding, `${finding.id}/${finding.revision}`)
      story.tell('dead-letter', at(minute), { ...deadLetter, key: 'bob' })
      // The sink and the detectors each gave the same record up.
      story.tell('dead-letter', at(minute + second), { ...deadLetter, key: 'bob' }, 'again')
      for (const [n, node] of ['node-1', 'node-2'].entries()) story.tell('telemetry', at(n), { ...telemetry, node })
      await story.store(store)
    })
    after(() => close())

    const range = { from: start, until: at(10 * minute) }
    const ask = async (query: string, params: Record<string, unknown>, columns: readonly string[]) => {
      const { rows } = await store.query(query, { ...range, ...params })
      return rows.map((row) => columns.map((column) => row[column]))
    }
    const kinds = async (params: Record<string, unknown>) =>
      (await ask('unseen', params, ['kind', 'affected'])).map(([kind, affected]) => `${kind} ${affected}`).sort()

    it('partitions are those of the log', async () => {
      const keys = ['alice', 'bob', 'digits', 'ä€😀', 'x'.repeat(37), ...Array.from({ length: 100 }, (_, n) => `key-${n * 7_919}`)]
      const { rows } = await store.sql(`SELECT arrayMap(key -> kafkaMurmurHash(key) % 12, ['${keys.join("','")}']) AS partitions`)
      assert.deepEqual(
        ((rows[0]?.['partitions'] ?? []) as unknown[]).map(Number),
        keys.map((key) => partitionOf(key, 12)),
      )
    })

    it('each gap as it was last stated, with its bounds', async () => {
      const columns = ['kind', 'from', 'until', 'topic', 'partition', 'count', 'source', 'sentence']
      const own = (await ask('unseen', {}, columns)).map(([kind, from, until, topic, partition, ...rest]) => [
        kind,
        from,
        until,
        `${topic}/${partition}`,
        ...rest,
      ])
      assert.deepEqual(own, [
        ['dropped', iso(0), iso(5_000), '/null', 3, 'node-1', 'node node-1 lost 3 events'],
        // The state that it gave up was last touched at 0 s.
        [
          'evicted',
          iso(0),
          iso(4_000),
          `requests/${alices}`,
          1,
          '',
          'what was known of 1 key was given up, since there were too many: burst',
        ],
        ['retention', iso(0), iso(60_000), `flows/${workload}`, 3, '', `3 events of flows/${workload} were removed from the log unseen`],
        [
          'late',
          iso(2_000),
          iso(60_000),
          `fingerprints/${digits}`,
          1,
          '',
          `1 event of fingerprints/${digits} came later than the lateness bound, so that order was lost`,
        ],
        [
          'late',
          iso(4_000),
          iso(20_000),
          `requests/${bobs}`,
          2,
          '',
          `2 events of requests/${bobs} came later than the lateness bound, so that order was lost`,
        ],
        ['lagged', iso(10_000), iso(25_000), `flows/${workload}`, 1, '', `1 event of flows/${workload} was seen late, by up to 12.5 s`],
        ['silent', iso(10_000), iso(100_000), '/null', 17, 'node-1', 'node node-1 sent nothing'],
        [
          'skewed',
          iso(19_900),
          iso(20_000),
          `requests/${bobs}`,
          1,
          'node-7',
          `1 event of requests/${bobs} came by a clock that is off, worst that of node-7: 3600 s ahead, and got the time by the log`,
        ],
        ['lagged', iso(30_000), iso(45_000), `flows/${workload}`, 1, '', `1 event of flows/${workload} was seen late, by up to 12.5 s`],
        [
          'unreadable',
          iso(60_000),
          iso(61_000),
          'requests/0',
          1,
          '',
          '1 record of requests/0 could not be read: MALFORMED_JSON, the value is not JSON in UTF-8',
        ],
      ])
    })

    it('only those in which who is asked about can lie', async () => {
      const nodes = ['dropped possibly', 'silent possibly']
      assert.deepEqual(await kinds({ principal: 'alice' }), ['evicted certainly', ...nodes].sort())
      assert.deepEqual(await kinds({ principal: 'bob' }), ['late certainly', 'skewed certainly', 'unreadable certainly', ...nodes].sort())
      assert.deepEqual(await kinds({ principal: 'carol', model: 'digits' }), ['late certainly', ...nodes].sort())
      // Whoever shares bob's partition, and is not named where all are.
      const other = Array.from({ length: 100 }, (_, n) => `p${n}`).find((name) => partitionOf(name, partitions) === bobs) ?? ''
      assert.deepEqual(await kinds({ principal: other }), nodes)
      const elsewhere = ['evicted possibly', 'late possibly', 'skewed possibly', 'unreadable possibly']
      assert.deepEqual(await kinds({ model: 'digits' }), ['late certainly', ...elsewhere, ...nodes].sort())
      const model = Array.from({ length: 100 }, (_, n) => `m${n}`).find((name) => partitionOf(name, partitions) !== digits) ?? ''
      assert.deepEqual(await kinds({ model }), [...elsewhere, ...nodes].sort())
      assert.deepEqual(await kinds({ workload: 'serving-a' }), ['lagged possibly', 'lagged possibly', 'retention possibly'])
      const away = Array.from({ length: 100 }, (_, n) => `w${n}`).find((name) => partitionOf(name, partitions) !== workload) ?? ''
      assert.deepEqual(await kinds({ workload: away }), [])
    })

    it('nothing where nothing was unseen', async () => {
      assert.deepEqual(await kinds({ from: at(11 * minute), until: at(12 * minute) }), [])
      // The last day.
      assert.deepEqual(await ask('unseen', { from: null, until: null }, ['kind']), [])
    })

    it('coverage: the share of the time that was watched', async () => {
      assert.deepEqual(await ask('coverage', {}, ['subject', 'seconds', 'parts', 'watched', 'undisturbed', 'gaps', 'events']), [
        // Late from 2 to 60 s in one partition of four: 58 of 2,400 s.
        ['fingerprints', 600, 4, 1, 0.975833, 1, 1],
        // A minute was never seen; what was late lay within it.
        ['flows', 600, 4, 0.975, 0.975, 3, 5],
        // Of two nodes one lost events for 5 s, and was silent for 90 s.
        ['nodes', 600, 2, 0.920833, 0.920833, 2, 20],
        ['prompts', 600, 1, 1, 1, 0, 0],
        // 4 to 20 s in bob's partition (what was skewed lies within), 0 to 4 s in alice's.
        ['requests', 600, 4, 1, 0.991667, 3, 4],
        ['telemetry', 600, 1, 1, 1, 0, 0],
      ])
    })
  })
}
