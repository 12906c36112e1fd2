import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { type FlowRecord, parseZeekConn, readServerNames, type ZeekOptions } from '../../ingest/zeek.ts'
import type { Rejected } from '../../ingest/zeek-log.ts'
import { FlowEvent } from '../../schemas/index.ts'

const fields =
  'ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration orig_bytes resp_bytes conn_state tunnel_parents'.split(' ')
const header = [
  '#separator \\x09',
  '#set_separator\t,',
  '#empty_field\t(empty)',
  '#unset_field\t-',
  '#path\tconn',
  `#fields\t${fields.join('\t')}`,
  '#types\ttime\tstring',
]
const row = (over: Record<string, string> = {}) =>
  fields
    .map(
      (name) =>
        ({
          ts: '1379288667.706265',
          uid: 'C1',
          'id.orig_h': '10.0.0.1',
          'id.orig_p': '1032',
          'id.resp_h': '203.0.113.9',
          'id.resp_p': '443',
          proto: 'tcp',
          service: 'ssl',
          duration: '0.5',
          orig_bytes: '601',
          resp_bytes: '38393',
          conn_state: 'SF',
          tunnel_parents: '(empty)',
          ...over,
        })[name] ?? '-',
    )
    .join('\t')

async function* from(lines: readonly string[]) {
  yield* lines
}

async function parse(lines: readonly string[], options?: ZeekOptions): Promise<(FlowRecord | Rejected)[]> {
  const records: (FlowRecord | Rejected)[] = []
  for await (const record of parseZeekConn(from(lines), options)) records.push(record)
  return records
}

async function one(over: Record<string, string>, options?: ZeekOptions): Promise<FlowRecord> {
  const [record] = await parse([...header, row(over)], options)
  assert.equal(record?.kind, 'flow')
  return record as FlowRecord
}

describe('Zeek conn.log', () => {
  it('reads a connection', async () => {
    const { id, line, time, data } = await one({})
    assert.match(id, /^[0-9a-f-]{36}$/)
    assert.deepEqual([line, time], [8, 1_379_288_667_706])
    assert.deepEqual(data, {
      workload: '10.0.0.1',
      pool: null,
      connection: 'C1',
      destination: { address: '203.0.113.9', port: 443, name: null },
      protocol: 'tcp',
      service: 'ssl',
      bytesOut: 601,
      bytesIn: 38_393,
      durationMs: 500,
    })
  })

  it('reads what is unset as nothing', async () => {
    const { data } = await one({ service: '-', duration: '-', orig_bytes: '-', resp_bytes: '-', uid: '-' })
    assert.deepEqual([data.service, data.durationMs, data.bytesOut, data.bytesIn, data.connection], [null, 0, 0, 0, null])
    assert.equal((await one({ service: '(empty)' })).data.service, null)
  })

  it('gives the same id to the same connection, and another to another', async () => {
    assert.equal((await one({})).id, (await one({})).id)
    assert.notEqual((await one({})).id, (await one({ uid: 'C2' })).id)
    assert.notEqual((await one({ uid: '-' })).id, (await one({ uid: '-', orig_bytes: '1' })).id)
  })

  it('maps addresses to workloads and pools, and leaves out those that serve nothing', async () => {
    const options: ZeekOptions = { workloadOf: (origin) => (origin === '10.0.0.1' ? 'serving-a' : null), poolOf: () => 'a' }
    const records = await parse([...header, row(), row({ 'id.orig_h': '10.0.0.2' })], options)
    assert.deepEqual(
      records.map((record) => record.kind === 'flow' && [record.data.workload, record.data.pool]),
      [['serving-a', 'a']],
    )
  })

  it('takes IPv6, unknown protocols and long lists of services', async () => {
    assert.equal((await one({ 'id.orig_h': '::1', 'id.resp_h': 'fe80::1' })).data.workload, '0::1')
    assert.equal((await one({ proto: 'sctp' })).data.protocol, 'other')
    assert.equal((await one({ service: 'x'.repeat(40) })).data.service?.length, 32)
  })

  it('undoes escapes', async () => {
    assert.equal((await one({ uid: 'a\\x09b\\x2d\\\\x' })).data.connection, 'a\tb-\\x')
    assert.equal((await one({ uid: '\\x2d' })).data.connection, '-')
  })

  it('follows the header of the log: its separator, its markers, its order, and a second header', async () => {
    const other = [
      '#separator |',
      '#unset_field|NONE',
      '#fields|proto|ts|id.resp_h|id.orig_h|id.resp_p|service',
      'udp|1|192.0.2.1|10.0.0.9|53|NONE',
    ]
    const records = await parse([...header, row(), '#close\t2014', ...other])
    assert.deepEqual(
      records.map((record) => record.kind === 'flow' && [record.data.protocol, record.data.destination.address, record.data.service]),
      [
        ['tcp', '203.0.113.9', 'ssl'],
        ['udp', '192.0.2.1', null],
      ],
    )
  })

  it('reads JSON lines', async () => {
    const json = {
      ts: 1_591_367_999.305_988,
      uid: 'C9',
      'id.orig_h': '10.0.0.1',
      'id.resp_h': '192.0.2.1',
      'id.resp_p': 80,
      proto: 'tcp',
      orig_bytes: 5,
      tunnel_parents: [],
    }
    const records = await parse([JSON.stringify(json), JSON.stringify({ ...json, ts: '2020-06-05T14:39:59.305Z' })])
    assert.deepEqual(
      records.map((record) => record.kind === 'flow' && [record.time, record.data.bytesOut, record.data.destination.port]),
      [
        [1_591_367_999_306, 5, 80],
        [1_591_367_999_305, 5, 80],
      ],
    )
  })

  it('joins names by connection', async () => {
    const ssl = ['#separator \\x09', '#fields\tts\tuid\tserver_name', '1\tC1\tsink.example', '1\tC2\t-', `1\tC3\t${'x'.repeat(300)}`]
    const names = await readServerNames(from(ssl))
    await readServerNames(from(['{"uid":"C4","query":"dns.example"}', '{"uid":"C1","host":"later.example"}', 'rubbish']), names)
    assert.deepEqual(
      [...names],
      [
        ['C1', 'sink.example'],
        ['C4', 'dns.example'],
      ],
    )
    assert.equal((await one({}, { names })).data.destination.name, 'sink.example')
    assert.equal((await readServerNames(from(ssl), new Map(), 0)).size, 0)
  })

  it('rejects bad lines with a reason, and goes on', async () => {
    const bad: [string, string][] = [
      ['only\ttwo', 'FIELD_COUNT'],
      ['{"ts":', 'MALFORMED_JSON'],
      [row({ ts: 'yesterday' }), 'INVALID_DATA'],
      [row({ ts: '-' }), 'INVALID_DATA'],
      [row({ orig_bytes: '-5' }), 'INVALID_DATA'],
      [row({ orig_bytes: '1e999' }), 'INVALID_DATA'],
      [row({ 'id.resp_p': '70000' }), 'INVALID_DATA'],
      [row({ 'id.resp_h': '-' }), 'INVALID_DATA'],
      [row({ 'id.orig_h': '-' }), 'INVALID_DATA'],
      ['x'.repeat(70_000), 'TOO_LONG'],
    ]
    const records = await parse([...header, ...bad.map(([line]) => line), '', row()])
    assert.deepEqual(
      records.map((record) => (record.kind === 'rejected' ? record.code : record.kind)),
      [...bad.map(([, code]) => code), 'flow'],
    )
    assert.ok(records.every((record) => record.kind === 'flow' || (record.reason !== '' && record.text.length <= 200)))
    assert.deepEqual(
      (await parse([row()])).map((record) => record.kind === 'rejected' && record.code),
      ['NO_HEADER'],
    )
    const many = await parse([`#fields\t${'f\t'.repeat(300)}`])
    assert.deepEqual(
      many.map((record) => record.kind === 'rejected' && record.code),
      ['BAD_HEADER'],
    )
  })

  it('whatever the lines are, throws nothing and yields only valid flows', async () => {
    const mangled = fc.tuple(fc.constantFrom(...fields), fc.string()).map(([name, value]) => row({ [name]: value }))
    const line = fc.oneof(mangled, fc.string(), fc.json(), fc.constantFrom(...header, '#fields', '#', '#separator ', 'null', '{}', '[]'))
    await fc.assert(
      fc.asyncProperty(fc.array(line), async (lines) => {
        for (const record of await parse([...header, ...lines])) {
          if (record.kind === 'flow') FlowEvent.parse(record.data)
        }
      }),
      { numRuns: 300, seed: 3 },
    )
  })
})
