import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { FastifyInstance } from 'fastify'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import type { InstanceStatus } from '../../console/port.ts'
import { createConsole } from '../../console/server.ts'
import { CordonError } from '../../schemas/index.ts'
import { at, deadLetter, fakePorts, incident, instance } from '../console/ports.ts'

const cordon = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const token = 'operator-token'
const assignments = [{ topic: 'flows', partition: 0, standby: false, offset: 900, end: 1_000, lagMs: 2_500 }]
const status: InstanceStatus = {
  version: '1.2.3',
  startedAt: at,
  ready: true,
  lag: { sink: 0, detect: 100, respond: 0 },
  lagMs: { sink: 0, detect: 2_500, respond: 0 },
  roles: [{ role: 'node', ok: false, summary: 'no process of this role is running', detail: {} }],
  instances: [
    instance({ role: 'detect', instance: 'd1', assignments, snapshotAgeMs: 12_000, deadLetters: 3 }),
    instance({ role: 'node', instance: 'n1', alive: false, spoolBytes: 2_048 }),
  ],
  snapshotAgeMs: 12_000,
  spoolBytes: 0,
  deadLetters: 4,
}

describe('commands that ask a console', () => {
  const fake = fakePorts()
  let app: FastifyInstance
  let url: string

  before(async () => {
    app = await createConsole({
      ports: { ...fake, status: async () => status },
      token,
      registry: new Registry(),
      log: pino({ level: 'silent' }),
    })
    url = await app.listen({ port: 0, host: '127.0.0.1' })
  })
  after(() => app.close())

  async function run(...args: readonly string[]): Promise<{ out: string; code: number }> {
    const child = spawn(process.execPath, [cordon, ...args, '--url', url, '--token', token], { stdio: ['ignore', 'pipe', 'pipe'] })
    const [out, error, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close') as Promise<[number]>])
    return { out: out + error, code }
  }

  it('status shows roles, then processes, and fails where something is wrong', async () => {
    const { out, code } = await run('status')
    assert.equal(code, 1)
    assert.match(out, /behind by records: sink 0, detectors 100 \(2\.5 s\), responders 0/)
    assert.match(out, /oldest snapshot 12\.0 s, spool 0 B, dead letters of the last day 4/)
    assert.match(out, /^node +NO +no process of this role is running$/m)
    assert.match(out, /^detect +d1 +yes +2026-11-21 09:00:00\.000 +1 +100 \(2\.5 s\) +12\.0 s +– +3$/m)
    assert.match(out, /^node +n1 +NO .* 2\.0 kB +0$/m)
  })

  it('status --partitions shows who reads what', async () => {
    const { out } = await run('status', '--partitions')
    assert.match(out, /^detect +flows +0 +d1 +– +900 +1000 +100 +2\.5 s$/m)
  })

  it('containments show names each node, and those awaited', async () => {
    const { out, code } = await run('containments', 'show', 'principal:mallory/throttle-principal')
    assert.equal(code, 0)
    assert.match(out, /NOT YET ENFORCED by node-2/)
    assert.match(out, /the last of the nodes that answered enforced it 21 ms after the deciding event/)
    assert.match(out, /^node-1 +0 +2026-11-21 09:00:00\.021 +21 ms$/m)
  })

  it('dead-letters list and show obey no control character in a record', async () => {
    const list = await run('dead-letters', 'list', '--topic', 'flows', '--since', '1h', '--limit', '5')
    assert.match(list.out, /flows\/2@41 +INVALID_DATA +.*\\u\{1b\}\[31mbig/)
    const [, filter] = fake.calls.find(([call]) => call === 'dead letters') as [string, { topic: string; since: number; limit: number }]
    assert.deepEqual([filter.topic, filter.limit], ['flows', 5])
    assert.ok(Math.abs(Date.now() - 3_600_000 - filter.since) < 60_000)
    const { out } = await run('dead-letters', 'show', deadLetter.id)
    assert.match(out, /value of 9000 bytes, the first 26 follow:\n\{"bytesOut":\n"\\u\{1b\}\]0;owned\\u\{7\}"\}/)
    assert.match(out, /given up 2026-11-21 09:00:00\.000 by sink\\u\{1b\}\[2J$/m)
    assert.match(out, /odd: \\u\{7\}bell/)
    assert.doesNotMatch((list.out + out).replaceAll('\n', ''), /\p{Cc}/u)
  })

  it('dead-letters replay says where the record went', async () => {
    const { out } = await run('dead-letters', 'replay', deadLetter.id, '--by', 'olga')
    assert.match(out, /published again: flows\/2@77/)
    assert.deepEqual(
      fake.calls.filter(([call]) => call === 'replay'),
      [['replay', deadLetter.id, 'olga']],
    )
    const none = await run('dead-letters', 'replay', '019a0000-0000-7000-8000-000000000002')
    assert.equal(none.code, 1)
    assert.match(none.out, /no dead letter/)
  })

  it('dead-letters replay --all tries those of one topic, and says which could not be', async () => {
    fake.calls.length = 0
    const { out, code } = await run('dead-letters', 'replay', '--all', '--topic', 'flows', '--by', 'olga')
    assert.match(out, new RegExp(`^${deadLetter.id} +flows/2@77 +–$`, 'm'))
    assert.equal(code, 0)
    assert.deepEqual(fake.calls, [
      ['dead letters', { topic: 'flows', limit: 1_000 }],
      ['replay', deadLetter.id, 'olga'],
    ])
    const { replay } = fake.deadLetters
    fake.deadLetters.replay = () => Promise.reject(new CordonError('RECORD_GONE', 'flows/2@41 is gone'))
    const gone = await run('dead-letters', 'replay', '--all', '--topic', 'flows')
    fake.deadLetters.replay = replay
    assert.match(gone.out, new RegExp(`^${deadLetter.id} +NO +flows/2@41 is gone$`, 'm'))
    assert.equal(gone.code, 1)
    const all = await run('dead-letters', 'replay', '--all')
    assert.equal(all.code, 2, 'of every topic is more than anyone means')
  })

  it('query takes an hour ago where the query wants a time', async () => {
    fake.calls.length = 0
    await run('query', 'findings', '--param', 'since=1h', 'detector=1h')
    const [[, name, params]] = fake.calls as [[string, string, { since: number; detector: string }]]
    assert.deepEqual([name, params.detector], ['findings', '1h'], 'what is no time stays as it is')
    assert.ok(Math.abs(Date.now() - 3_600_000 - params.since) < 60_000)
  })

  it('incidents show says whether anything was unseen', async () => {
    const clean = await run('incidents', 'show', incident.id)
    assert.match(clean.out, /Was anything unseen\?\nWatched throughout, 2026-11-21 08:59:59\.100 to now\./)
    const seen = new Date(at).toISOString()
    const late = { kind: 'late', blind: false, from: seen, until: seen, affected: 'certainly', sentence: '12 events came late' }
    const lost = {
      kind: 'dropped',
      blind: true,
      from: seen,
      until: null,
      affected: 'possibly',
      sentence: 'node a\u001b[31m lost 12 events',
    }
    fake.answer = async () => ({ columns: [], rows: [late], elapsedMs: 1 })
    const worse = await run('incidents', 'show', incident.id)
    assert.match(
      worse.out,
      /^Nothing went unseen, but not all of it was seen as it should have been, .*:\n2026-11-21 09:00:00\.000 {2}12 events came late$/m,
    )
    const unknown = { kind: 'unknown', blind: false, from: seen, until: seen, affected: 'possibly', sentence: 'not known' }
    fake.answer = async () => ({ columns: [], rows: [late, unknown], elapsedMs: 1 })
    assert.match((await run('incidents', 'show', incident.id)).out, /^Not known for all of the time, 2026-11-21 08:59:59\.100 to now:$/m)
    fake.answer = async () => ({ columns: [], rows: [late, unknown, lost], elapsedMs: 1 })
    const { out } = await run('incidents', 'show', incident.id)
    assert.match(out, /^Yes, something was not seen, .*:\n/m)
    assert.match(out, /^2026-11-21 09:00:00\.000 until now {2}node a\\u\{1b\}\[31m lost 12 events \(may concern this incident\)$/m)
    const json = await run('incidents', 'show', incident.id, '--json')
    assert.equal(JSON.parse(json.out).unseen.state, 'gaps')
  })
})
