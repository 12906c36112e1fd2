import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import type { Store } from '../../store/index.ts'
import type { StoreFactory } from '../contracts/store.ts'
import {
  acknowledgement,
  action,
  command,
  containment,
  deadLetter,
  finding,
  fingerprint,
  flow,
  hashOf,
  idOf,
  incident,
  int16,
  minute,
  outcome,
  request,
  Story,
  second,
  start,
  telemetry,
} from './story.ts'

const iso = (at: number) => new Date(at).toISOString()
const day = 24 * 60 * minute

/** Alice probes `digits` and is throttled; Bob and Carol are ordinary; serving-a beacons. Every answer is worked out by hand. */
function tell(): Story {
  const story = new Story()
  story.tell('request', start, request, 'r1')
  story.tell('request', start + second, { ...request, items: 2, cost: 1.5, tokensIn: 30 }, 'r2')
  story.tell(
    'request',
    start + 2 * second,
    {
      ...request,
      outcome: 'throttled',
      status: 429,
      version: null,
      confidence: null,
      items: 0,
      cost: 0,
      tokensIn: 0,
      tokensOut: 0,
      lease: containment.id,
    },
    'r3',
  )
  story.tell(
    'request',
    start + second,
    { ...request, principal: 'bob', organization: 'globex', keyId: 'key-b', version: 'v2', cost: 4 },
    'r4',
  )
  story.tell('request', start + 70 * second, { ...request, principal: 'carol', organization: null, keyId: null, cost: 0.25 }, 'r5')

  story.tell('fingerprint', start, { ...fingerprint, request: idOf('r1', start) }, 'f1')
  // 3-4-5 triangle: 5 steps of 0.5 are 2.5 input units.
  story.tell(
    'fingerprint',
    start + second,
    {
      ...fingerprint,
      request: idOf('r2', start + second),
      sketch: int16([3, 4]),
      output: { label: 5, confidence: 0.5, margin: 0.1, entropy: 1 },
    },
    'f2',
  )
  story.tell(
    'fingerprint',
    start + second,
    { ...fingerprint, request: idOf('r2', start + second), index: 1, exact: 'bb'.repeat(8), sketch: int16([0, 100]) },
    'f3',
  )
  // 8 steps from f1: 4 units; 5 from f2 (3 and 4): 2.5.
  story.tell(
    'fingerprint',
    start + second,
    { ...fingerprint, principal: 'bob', request: idOf('r4', start + second), version: 'v2', sketch: int16([0, 8]) },
    'f4',
  )
  // Nearest of all, and of another epoch or another profile: not comparable.
  story.tell('fingerprint', start, { ...fingerprint, principal: 'mallory', epoch: 2 }, 'f5')
  story.tell('fingerprint', start, { ...fingerprint, principal: 'mallory', profile: 'p2' }, 'f6')
  // The largest distance that int16 can state must not wrap: (65535, 65535) is 92,680.4 steps.
  story.tell('fingerprint', start, { ...fingerprint, principal: 'dave', model: 'wide', sketch: int16([-32_768, -32_768]) }, 'f7')
  story.tell('fingerprint', start, { ...fingerprint, principal: 'erin', model: 'wide', sketch: int16([32_767, 32_767]) }, 'f8')

  story.tell('finding', start + 2 * second, { ...finding, time: start + 2 * second })
  story.tell('finding', start + 3 * second, { ...finding, revision: 1, time: start + 3 * second, confidence: 0.99, eventsSeen: 14 })
  story.tell('finding', start + 4 * second, {
    ...finding,
    id: hashOf('other'),
    time: start + 4 * second,
    detector: 'egress-anomaly',
    principals: [],
    workload: 'serving-a',
  })
  story.tell('incident', start + 3 * second, { ...incident, updatedAt: start + 3 * second })
  story.tell('incident', start + 5 * second, { ...incident, state: 'contained', updatedAt: start + 5 * second })
  story.tell('action', start + 5 * second, { ...action, plannedAt: start + 5 * second })
  story.tell('containment', start + 5 * second, { ...containment, from: start + 5 * second, until: start + 5 * second + 10 * minute })
  story.tell('command', start + minute, { ...command, at: start + minute, expiresAt: start + 2 * minute })
  story.tell('outcome', start + minute + 40, { ...outcome, at: start + minute + 40 })
  // Answered twice, by one who was replaced meanwhile: the first answer counts.
  story.tell('outcome', start + 2 * minute, { ...outcome, ok: false, code: 'X', error: 'late', at: start + 2 * minute })
  const refused = idOf('refused')
  const order = { kind: 'contain', target: 'principal:bob', action: 'deny-principal', parameters: {}, forMs: 1, reason: 'why' } as const
  story.tell('command', start, { ...command, id: refused, by: 'eve', order })
  story.tell('outcome', start + 5, { ...outcome, command: refused, ok: false, code: 'PROTECTED', error: 'no', result: null, at: start + 5 })
  story.tell('command', start + 3 * minute, {
    ...command,
    id: idOf('vain'),
    at: start + 3 * minute,
    order: { kind: 'release', lease: 'x' },
  })
  story.tell('acknowledgement', start + 6 * second, { ...acknowledgement, at: start + 6 * second })
  story.tell('acknowledgement', start + 7 * second, { ...acknowledgement, node: 'node-2', at: start + 7 * second, enforcedAfterMs: 40 })
  story.tell('containment', start + minute, {
    ...containment,
    from: start + 5 * second,
    until: start + 5 * second + 10 * minute,
    revision: 2,
    state: 'released',
    endedAt: start + minute,
    endedBy: 'person:ann',
  })
  story.tell('containment', start + 2 * minute, {
    ...containment,
    id: 'pool:a/quarantine-pool',
    target: 'pool:a',
    action: 'quarantine-pool',
    incident: null,
    from: start + 2 * minute,
    until: start + 3 * minute,
  })

  for (const [index, gap] of [0, 10, 20, 30].entries()) story.tell('flow', start + gap * second, flow, `beacon-${index}`)
  story.tell('flow', start, { ...flow, destination: { address: '198.51.100.1', port: 80, name: null }, bytesOut: 5_000 }, 'bulk')
  story.tell('flow', start + second, { ...flow, workload: 'serving-b' }, 'b')

  // 0, 2, 5 lost; then the process began anew and lost 1: 6 in all.
  for (const [index, dropped] of [0, 2, 5, 1].entries()) story.tell('telemetry', start + index * 10 * second, { ...telemetry, dropped })
  story.tell('telemetry', start + 100 * second, { ...telemetry, node: 'node-2' })
  story.tell('dead-letter', start, deadLetter)
  story.tell('dead-letter', start + second, { ...deadLetter, offset: 100 })
  return story
}

/** What the library answers about the story, on any engine. Needs a store of its own. */
export function libraryContract(name: string, factory: StoreFactory): void {
  describe(`forensic library on ${name}`, () => {
    let store: Store
    let close: () => Promise<void>
    before(async () => {
      ;({ store, close } = await factory())
      await store.migrate()
      await tell().store(store)
    })
    after(() => close())

    const ask = async (query: string, params: Record<string, unknown>, columns: readonly string[]) => {
      const { rows } = await store.query(query, params)
      return rows.map((row) => columns.map((column) => row[column]))
    }

    it('principal-activity: everything alice did and what was done about it', async () => {
      assert.deepEqual(await ask('principal-activity', { principal: 'alice' }, ['time', 'what', 'outcome', 'detail']), [
        [iso(start), 'request', 'served', 'status 200, 1 items, answered 3 at 0.9'],
        [iso(start + second), 'request', 'served', 'status 200, 2 items, answered 5 at 0.5, 3 at 0.9'],
        [iso(start + 2 * second), 'request', 'throttled', 'status 429, 0 items'],
        [iso(start + 3 * second), 'finding', 'high', 'near-duplicate-probing: near-duplicates of one input'],
        [iso(start + 5 * second), 'action', 'executed', 'throttle-principal on principal:alice: probing'],
        [iso(start + 5 * second), 'containment', 'active', 'throttle-principal until 2026-01-01 00:10:05.000: probing'],
        [iso(start + minute), 'containment', 'released', 'throttle-principal until 2026-01-01 00:10:05.000: probing'],
      ])
      const window = { principal: 'alice', since: start + second, until: iso(start + 2 * second) }
      assert.deepEqual(await ask('principal-activity', window, ['id']), [[idOf('r2', start + second)]])
    })

    it('similar-queries: the nearest inputs to one, across principals, in input units', async () => {
      const columns = ['event', 'principal', 'distance', 'identical']
      assert.deepEqual(await ask('similar-queries', { event: idOf('f1', start) }, columns), [
        [idOf('f2', start + second), 'alice', 2.5, true],
        [idOf('f4', start + second), 'bob', 4, true],
        [idOf('f3', start + second), 'alice', 50, false],
      ])
      assert.deepEqual(await ask('similar-queries', { event: idOf('f1', start), maxDistance: 3 }, ['principal']), [['alice']])
    })

    it('similar-queries: what others asked near to what a principal asked', async () => {
      assert.deepEqual(
        await ask('similar-queries', { principal: 'alice', others: true, maxDistance: 10 }, ['probe', 'principal', 'distance']),
        [
          [idOf('f2', start + second), 'bob', 2.5],
          [idOf('f1', start), 'bob', 4],
        ],
      )
      const wide = await ask('similar-queries', { principal: 'dave' }, ['distance'])
      assert.equal(Math.round(Number(wide[0]?.[0])), Math.round((Math.sqrt(2) * 65_535) / 2))
    })

    it('model-answers: by version and label', async () => {
      const columns = ['version', 'label', 'answers', 'share', 'principals', 'lowConfidence']
      // mallory's two fingerprints are answers of v1 too: 4 of 5 say 3.
      assert.deepEqual(await ask('model-answers', { model: 'digits' }, columns), [
        ['v1', 3, 4, 0.8, 2, 0.9],
        ['v1', 5, 1, 0.2, 1, 0.5],
        ['v2', 3, 1, 1, 1, 0.9],
      ])
    })

    it('model-outcomes: by version and outcome', async () => {
      assert.deepEqual(await ask('model-outcomes', { model: 'digits' }, ['version', 'outcome', 'requests', 'inputs', 'principals']), [
        ['v1', 'served', 3, 4, 2],
        ['v2', 'served', 1, 1, 1],
        [null, 'throttled', 1, 0, 1],
      ])
    })

    it('incident-timeline: causes before what follows from them', async () => {
      assert.deepEqual(await ask('incident-timeline', { incident: incident.id }, ['time', 'what', 'state']), [
        [iso(start), 'request', 'served'],
        [iso(start + second), 'request', 'served'],
        [iso(start + 2 * second), 'request', 'throttled'],
        [iso(start + 2 * second), 'finding', 'high'],
        [iso(start + 3 * second), 'finding', 'high'],
        [iso(start + 3 * second), 'incident', 'open'],
        [iso(start + 5 * second), 'incident', 'contained'],
        [iso(start + 5 * second), 'action', 'executed'],
        [iso(start + 5 * second), 'containment', 'active'],
        [iso(start + 6 * second), 'acknowledgement', 'enforced'],
        [iso(start + 7 * second), 'acknowledgement', 'enforced'],
        [iso(start + minute), 'containment', 'released'],
      ])
      const newest = await ask('incident-timeline', { incident: incident.id, requests: 1 }, ['what', 'state'])
      assert.deepEqual(newest[0], ['request', 'throttled'])
      assert.deepEqual(await ask('incident-timeline', { incident: hashOf('none') }, ['what']), [])
    })

    it('cost: by principal, key and organization', async () => {
      const columns = ['subject', 'requests', 'served', 'inputs', 'tokensIn', 'cost']
      assert.deepEqual(await ask('cost', {}, columns), [
        ['bob', 1, 1, 1, 10, 4],
        ['alice', 3, 2, 3, 40, 2],
        ['carol', 1, 1, 1, 10, 0.25],
      ])
      assert.deepEqual(await ask('cost', { by: 'key' }, ['subject', 'cost']), [
        ['key-b', 4],
        ['key-a', 2],
        ['none', 0.25],
      ])
      assert.deepEqual(await ask('cost', { by: 'organization', until: start + minute }, ['subject', 'cost']), [
        ['globex', 4],
        ['acme', 2],
      ])
    })

    it('containments: who, why, by whom and for how long', async () => {
      const columns = ['target', 'action', 'reason', 'state', 'seconds', 'endedBy', 'nodes', 'enforcedAfterMs']
      assert.deepEqual(await ask('containments', {}, columns), [
        ['pool:a', 'quarantine-pool', 'probing', 'active', 60, null, 0, null],
        ['principal:alice', 'throttle-principal', 'probing', 'released', 55, 'person:ann', 2, 40],
      ])
      assert.deepEqual(await ask('containments', { incident: incident.id }, ['target']), [['principal:alice']])
    })

    it('egress: by workload and destination, beacons told by their regularity', async () => {
      const columns = ['workload', 'destination', 'connections', 'bytesOut', 'meanGapSeconds', 'gapVariation']
      assert.deepEqual(await ask('egress', { workload: 'serving-a' }, columns), [
        ['serving-a', '198.51.100.1', 1, 5_000, null, null],
        ['serving-a', 'sink.example', 4, 400, 10, 0],
      ])
      assert.deepEqual(await ask('egress', { destination: '203.0.113.7' }, ['workload']), [['serving-a'], ['serving-b']])
    })

    it('unseen: records that nobody could read, and the time of which nothing is stored', async () => {
      const columns = ['kind', 'from', 'until', 'topic', 'partition', 'count']
      assert.deepEqual(await ask('unseen', { until: start + minute }, columns), [
        ['unknown', iso(start + minute - day), iso(start), '', null, 0],
        ['unreadable', iso(start), iso(start + second), 'requests', 0, 2],
        // The samples end at 30 s.
        ['unknown', iso(start + 30 * second), iso(start + minute), '', null, 0],
      ])
    })

    it('findings: each episode as last stated, newest first', async () => {
      assert.deepEqual(await ask('findings', {}, ['id', 'revision', 'confidence']), [
        [hashOf('other'), 0, 0.97],
        [finding.id, 1, 0.99],
      ])
      assert.deepEqual(await ask('findings', { principal: 'alice' }, ['id', 'evidence']), [[finding.id, JSON.stringify(finding.evidence)]])
    })

    it('orders: who ordered what, and what became of it', async () => {
      assert.deepEqual(await ask('orders', {}, ['person', 'kind', 'subject', 'state', 'code', 'answeredAfterMs']), [
        ['ann', 'release', 'x', 'unanswered', null, null],
        ['ann', 'release', containment.id, 'done', null, 40],
        ['eve', 'contain', 'principal:bob', 'failed', 'PROTECTED', 5],
      ])
      assert.deepEqual(await ask('orders', { person: 'ann', until: iso(start + 2 * minute) }, ['subject']), [[containment.id]])
      assert.deepEqual(await ask('orders', { kind: 'contain' }, ['error']), [['no']])
    })

    it('event-rates: by interval, kind and outcome', async () => {
      const rows = await ask('event-rates', { seconds: 60 }, ['at', 'kind', 'outcome', 'events'])
      assert.deepEqual(
        rows.filter(([, kind]) => kind === 'request'),
        [
          [iso(start), 'request', 'served', 3],
          [iso(start), 'request', 'throttled', 1],
          [iso(start + minute), 'request', 'served', 1],
        ],
      )
    })

    it('exact-once: rows, ids and offsets without a row', async () => {
      const columns = ['topic', 'rows', 'ids', 'duplicates', 'duplicatesInTopic', 'withoutRow', 'deadLetters']
      const rows = await ask('exact-once', {}, columns)
      assert.deepEqual(rows.at(-2), ['requests', 5, 5, 0, 0, 0, 2])
      await store.client.command({
        query: "INSERT INTO requests (id, topic, offset) SELECT id, 'requests', 7 FROM requests WHERE offset = 0",
      })
      const after = await ask('exact-once', {}, columns)
      assert.deepEqual(after.at(-2), ['requests', 6, 5, 1, 1, 2, 2])
    })
  })
}
