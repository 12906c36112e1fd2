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
import { deadLetter, flow, minute, Story, second, start, telemetry } from './story.ts'

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
const hour = 60 * minute

/** A record that no host can apply. */
function unheardOf(n: number, ms: number): HostInput {
  return { ...observation('request', n, at(ms)), data: null } as unknown as HostInput
}

/** Gaps as the host and its detectors state them. */
function gaps(): Finding[] {
  const host = (topic: string, partition: number) =>
    createPartitionHost([hosted(burst)], { topic, partition, partitions, latenessMs: 10 * second })
  const request = (n: number, ms: number, principal: string) => observation('request', n, at(ms), { principal })
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
    ...feed(host('flows', workload), [unheardOf(40, hour), unheardOf(41, hour + 30 * second), clock(hour + 2 * minute)]),
    stateUnseen(
      { topic: 'flows', partition: workload, partitions },
      { kind: 'retention', firstOffset: 3, lastOffset: 5, from: at(0), until: at(minute), worstMs: null },
    ),
    stateUnseen(
      { topic: 'flows', partition: workload, partitions },
      {
        kind: 'forgotten',
        firstOffset: 0,
        lastOffset: 5,
        againFrom: 6,
        from: at(2 * hour),
        until: at(2 * hour + 50 * second),
        worstMs: null,
      },
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
    const now = Date.now()
    before(async () => {
      ;({ store, close } = await factory())
      await store.migrate()
      const story = new Story()
      for (const finding of gaps()) story.tell('finding', finding.time, finding, `${finding.id}/${finding.revision}`)
      story.tell('dead-letter', at(minute), { ...deadLetter, key: 'bob' })
      // The sink and the detectors each gave the same record up.
      story.tell('dead-letter', at(minute + second), { ...deadLetter, key: 'bob' }, 'again')
      // Not after 10 s, and an orderly stop.
      for (const ms of [0, 5_000, 10_000]) story.tell('telemetry', at(ms), telemetry)
      story.tell('telemetry', at(100_000), { ...telemetry, closing: true })
      // All the time, and 50 ms beyond it.
      for (let ms = 0; ms < 10 * minute + 5_000; ms += 4_999) story.tell('telemetry', at(ms), { ...telemetry, node: 'node-2' })
      // Where no node is heard: a minute apart at most, and then more.
      for (const ms of [0, 50, 100, 200]) story.tell('flow', at(2 * hour + ms * second), flow)
      // Stopped in order and started again, within what would not be silence; then more than three samples are missing, and nobody said so.
      for (const ms of [0, 10, 15, 31])
        story.tell('telemetry', at(3 * hour + ms * second), { ...telemetry, node: 'node-4', closing: ms === 0 })
      // Where a node is heard, it is for nodes to vouch.
      for (const ms of [16, 30]) story.tell('flow', at(3 * hour + ms * second), flow)
      story.tell('telemetry', now, { ...telemetry, node: 'node-3', everyMs: hour })
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

    it('and whether something in it was never judged', async () => {
      const all = { from: start, until: at(2 * hour + minute) }
      const said = new Map((await ask('unseen', all, ['kind', 'blind'])).map(([kind, blind]) => [kind, blind]))
      assert.deepEqual(
        [...said]
          .filter(([, blind]) => blind === true)
          .map(([kind]) => kind)
          .sort(),
        ['dropped', 'retention', 'silent', 'unapplied', 'unreadable'],
      )
      assert.deepEqual(
        [...said]
          .filter(([, blind]) => blind === false)
          .map(([kind]) => kind)
          .sort(),
        ['evicted', 'forgotten', 'lagged', 'late', 'skewed', 'unknown'],
      )
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
      assert.deepEqual(await kinds({ from: at(5 * minute), until: at(6 * minute) }), [])
    })

    it('coverage: the share of the time that was watched', async () => {
      const columns = ['subject', 'seconds', 'parts', 'known', 'watched', 'undisturbed', 'gaps', 'events', 'note']
      assert.deepEqual(await ask('coverage', {}, columns), [
        // Late from 2 to 60 s in one partition of four: 58 of 2,400 s.
        ['fingerprints', 600, 4, 1, 1, 0.975833, 1, 1, ''],
        // A minute was never seen; what was late lay within it.
        ['flows', 600, 4, 1, 0.975, 0.975, 3, 5, ''],
        // One ran for 600 s, the other for 100: it lost events for 5 s, and was silent for 90. 605 of 700 s.
        ['nodes', 600, 2, 1, 0.864286, 0.864286, 2, 20, ''],
        ['prompts', 600, 1, 1, 1, 1, 0, 0, ''],
        // 4 to 20 s in bob's partition (what was skewed lies within), 0 to 4 s in alice's.
        ['requests', 600, 4, 1, 1, 0.991667, 3, 4, ''],
        ['telemetry', 600, 1, 1, 1, 1, 0, 0, ''],
      ])
    })

    it('claims nothing of a time of which nothing is stored', async () => {
      const shares = async (params: Record<string, unknown>) =>
        (await ask('coverage', params, ['subject', 'known', 'watched', 'undisturbed', 'note'])).filter(([subject]) =>
          ['nodes', 'prompts'].includes(String(subject)),
        )
      const unknown = async (params: Record<string, unknown>) =>
        (await ask('unseen', params, ['kind', 'from', 'until', 'affected', 'sentence'])).filter(([kind]) => kind === 'unknown')
      const sentence = 'not known whether anybody was watching: nothing that is stored shows it'
      // Before the first node.
      const before = { from: at(-2 * minute), until: at(-minute) }
      assert.deepEqual(await shares(before), [
        ['nodes', 0, null, null, 'not known'],
        ['prompts', 0, null, null, 'not known'],
      ])
      assert.deepEqual(await unknown(before), [['unknown', iso(-2 * minute), iso(-minute), 'possibly', sentence]])
      // Half of it before. Of the other half, 120 s of the one node and 5 + 5 of 100 s of the other: 130 of 220 s.
      const across = { from: at(-2 * minute), until: at(2 * minute) }
      assert.deepEqual(await shares(across), [
        ['nodes', 0.5, 0.284091, 0.284091, 'not known before 2026-01-01T00:00:00Z'],
        ['prompts', 0.5, 0.5, 0.5, 'not known before 2026-01-01T00:00:00Z'],
      ])
      assert.deepEqual(await unknown({ ...across, principal: 'alice' }), [['unknown', iso(-2 * minute), iso(0), 'possibly', sentence]])
      // After the last sample, of a process that nobody stopped and nobody missed.
      const last = Math.floor((10 * minute + 4_999) / 4_999) * 4_999
      assert.deepEqual(await unknown({ from: at(9 * minute), until: at(13 * minute) }), [
        ['unknown', iso(last), iso(13 * minute), 'possibly', sentence],
      ])
      assert.match(String((await shares({ from: at(9 * minute), until: at(13 * minute) }))[1]?.[4]), /^not known for 175\.\d+ s$/)
      const stopped = { from: at(3 * hour), until: at(3 * hour + 31 * second) }
      assert.deepEqual(await unknown(stopped), [
        ['unknown', iso(3 * hour), iso(3 * hour + 10_000), 'possibly', sentence],
        ['unknown', iso(3 * hour + 15_000), iso(3 * hour + 31_000), 'possibly', sentence],
      ])
      // Up to now a node vouches until its next sample is overdue.
      assert.deepEqual(await unknown({ from: now, until: null }), [])
      assert.equal((await unknown({ from: now - minute, until: null }))[0]?.[2], new Date(now).toISOString())
      // What is to come is not unknown yet, and nobody claims it.
      assert.equal((await unknown({ from: Date.now() + minute, until: Date.now() + 2 * minute })).length, 0)
      assert.deepEqual(await shares({ from: Date.now() + minute, until: Date.now() + 2 * minute }), [
        ['nodes', 0, null, null, 'not known'],
        ['prompts', 0, null, null, 'not known'],
      ])
      const flows = { from: at(2 * hour), until: at(2 * hour + 5 * minute) }
      assert.deepEqual(await shares(flows), [
        ['nodes', 0, null, null, 'not known'],
        ['prompts', 0.333333, 0.333333, 0.333333, 'not known for 200 s'],
      ])
      assert.deepEqual(await unknown(flows), [['unknown', iso(2 * hour + 100_000), iso(2 * hour + 300_000), 'possibly', sentence]])
    })

    it('what was forgotten was seen, but not as it should have been', async () => {
      const then = { from: at(2 * hour), until: at(2 * hour + 100 * second) }
      const sentence = `what the detectors knew of flows/${workload} was lost with its snapshot, and its records up to 5 are no longer on the log`
      const columns = ['kind', 'from', 'until', 'affected', 'count', 'sentence']
      assert.deepEqual(await ask('unseen', { ...then, workload: 'serving-a' }, columns), [
        ['forgotten', iso(2 * hour), iso(2 * hour + 50_000), 'possibly', 6, sentence],
      ])
      const away = Array.from({ length: 100 }, (_, n) => `w${n}`).find((name) => partitionOf(name, partitions) !== workload) ?? ''
      assert.deepEqual(await kinds({ ...then, workload: away }), [])
      // Half of the time, in one partition of four.
      const flows = (await ask('coverage', then, ['subject', 'known', 'watched', 'undisturbed', 'gaps', 'events'])).find(
        ([subject]) => subject === 'flows',
      )
      assert.deepEqual(flows, ['flows', 1, 1, 0.875, 1, 6])
    })

    it('what the host itself failed on was not seen', async () => {
      const then = { from: at(hour), until: at(hour + 2 * minute) }
      const sentence = `the detector host itself failed on 2 events of flows/${workload}, which not all detectors saw`
      const first = (await ask('unseen', then, ['kind', 'from', 'until', 'sentence'])).find(([kind]) => kind === 'unapplied')
      assert.deepEqual(first, ['unapplied', iso(hour), iso(hour + 30_000), sentence])
      // 30 s of one partition of four are known of: that nothing was seen. 30 of 480 s.
      const flows = (await ask('coverage', then, ['subject', 'known', 'watched', 'note'])).find(([subject]) => subject === 'flows')
      assert.deepEqual(flows, ['flows', 0.0625, 0, 'not known for 112.5 s'])
    })
  })
}
