import assert from 'node:assert/strict'
import { chmodSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { readCheckpoint } from '../../audit/checkpoint.ts'
import { makeNextKey } from '../../audit/key-file.ts'
import { leafHash, noHash } from '../../audit/record.ts'
import { kinds } from '../../schemas/event.ts'
import { type CordonEvent, timeOf } from '../../schemas/index.ts'
import { entry, exported, openKept, start, temporaryDir, verifyLines } from './fixture.ts'

const recordsOf = (events: readonly CordonEvent<'audit'>[]) =>
  exported(events).flatMap((line) => (line.startsWith('{"log"') ? [JSON.parse(line) as Record<string, unknown>] : []))
/** In the order in which they were handed on. */
function openings(events: readonly CordonEvent<'audit'>[]): Record<string, unknown>[] {
  const texts = new Set(events.flatMap(({ data }) => (data.form === 'record' ? [data.text] : [])))
  return [...texts].map((text) => JSON.parse(text) as Record<string, unknown>).filter(({ kind }) => kind === 'opened')
}

/** As if the process that has it were gone. */
function release(dir: string): void {
  rmSync(join(dir, 'lock'), { recursive: true })
}

/** The first export, with the records from 6 on those of the second, and every hash made to fit. */
function rechain(genuine: readonly string[], other: readonly string[]): string[] {
  const others = new Map(other.flatMap((line) => (line.startsWith('{"log"') ? [[Number(/"seq":(\d+)/.exec(line)?.[1]), line]] : [])))
  const [, log = ''] = /"log":"(\w+)"/.exec(genuine[0] ?? '') ?? []
  let prev = noHash
  return genuine.map((line) => {
    if (!line.startsWith('{"log"')) return line
    const seq = Number(/"seq":(\d+)/.exec(line)?.[1])
    const body = seq < 6 ? line : (others.get(seq) ?? '')
    const forged = body.replace(/"log":"\w+"/, `"log":"${log}"`).replace(/"prev":"[^"]+"/, `"prev":"${prev}"`)
    prev = leafHash(forged).toString('base64')
    return forged
  })
}

describe('a trail', () => {
  test('keeps what it is given, in records that follow one another', async (t) => {
    const { trail, events } = openKept(temporaryDir(t))
    trail.append(entry(1, { prompt: 'Who said "\\n"?\n\ud800 \u0000 €', policies: ['a', 'b'] }))
    trail.append(entry(2, { organization: null, cost: 1e-7 }))
    trail.close()
    const [opened, first, second] = recordsOf(events)
    assert.deepEqual([opened?.kind, opened?.reason, opened?.after], ['opened', 'new', null])
    const { log: _log, seq, prev: _prev, kind, ...kept } = first ?? {}
    assert.deepEqual(kept, entry(1, { prompt: 'Who said "\\n"?\n\ufffd \u0000 €', policies: ['a', 'b'] }))
    assert.deepEqual([seq, kind, second?.cost], [1, 'entry', 1e-7])
    for (const event of events) {
      assert.deepEqual(kinds.audit.schema.parse(event.data), event.data)
      assert.equal(timeOf(event.id), event.time)
    }
    assert.ok((await verifyLines(exported(events))).ok)
  })

  test('bounds what callers can choose', (t) => {
    const { trail, events } = openKept(temporaryDir(t))
    trail.append(entry(1, { resource: 'x'.repeat(10_000), prompt: '\u0000'.repeat(1_000_000), policies: Array(1_000).fill('p') }))
    const [, record] = recordsOf(events)
    assert.deepEqual([String(record?.resource).length, String(record?.prompt).length, Object(record?.policies).length], [256, 65_536, 64])
    trail.close()
  })

  test('of decisions leaves out what was served as it was asked', (t) => {
    const { trail, events } = openKept(temporaryDir(t), { record: 'decisions' })
    trail.append(entry(1))
    trail.append(entry(2, { outcome: 'throttled', status: 429 }))
    trail.append(entry(3, { hardening: 'rounded' }))
    trail.append(entry(4, { lease: 'throttle/principal:alice' }))
    trail.close()
    assert.deepEqual(
      recordsOf(events).map(({ tokensIn }) => tokensIn),
      [undefined, 2, 3, 4],
    )
  })

  test('signs after so many records, without holding up the one that was the last', async (t) => {
    const { trail, events } = openKept(temporaryDir(t), { checkpointRecords: 10 })
    for (let number = 1; number <= 10; number++) trail.append(entry(number))
    assert.equal(trail.state().unsigned, 10)
    await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(trail.state(), { ...trail.state(), records: 11, unsigned: 0 })
    const note = events.findLast(({ data }) => data.form === 'checkpoint')?.data
    assert.deepEqual([note?.seq, readCheckpoint(note?.text ?? '')?.size], [11, 11])
    trail.close()
  })

  test('goes on as the same log after an orderly end, and says so', async (t) => {
    const dir = temporaryDir(t)
    const first = openKept(dir)
    first.trail.append(entry(1))
    first.trail.close()
    // Another run of the machine changes nothing: the end is on the disk itself.
    const second = openKept(dir, { boot: 'another' })
    second.trail.append(entry(2))
    second.trail.close()
    const events = [...first.events, ...second.events]
    assert.deepEqual(
      openings(events).map(({ seq, reason }) => [seq, reason]),
      [
        [0, 'new'],
        [2, 'continued'],
      ],
    )
    const verdict = await verifyLines(exported(events))
    assert.deepEqual([verdict.ok, verdict.records, verdict.logs.length, verdict.unsigned], [true, 4, 1, 0])
  })

  test('begins a new log after a power cut, which states how far the one before is known', async (t) => {
    const dir = temporaryDir(t)
    const first = openKept(dir, { boot: 'one' })
    for (let number = 1; number <= 5; number++) first.trail.append(entry(number))
    // What the journal lost with the page cache was on the bus already.
    const journal = readFileSync(join(dir, 'journal'), 'utf8').split('\n')
    release(dir)
    writeFileSync(join(dir, 'journal'), `${journal.slice(0, 4).join('\n')}\n`)
    const second = openKept(dir, { boot: 'two' })
    second.trail.append(entry(6))
    second.trail.close()
    const events = [...first.events, ...second.events]
    const [, opened] = openings(events)
    assert.deepEqual([opened?.seq, opened?.reason, Object(opened?.after).size], [0, 'power-cut', 4])
    const verdict = await verifyLines(exported(events))
    assert.deepEqual([verdict.problems, verdict.records, verdict.logs.length], [[], 8, 2])
    // And what it follows cannot be cut off unseen, although no checkpoint covers it.
    const lines = exported(events)
    const cut = lines.filter((line) => !/"tokensIn":[345],/.test(line))
    const [problem] = (await verifyLines(cut)).problems
    assert.deepEqual([problem?.kind, problem?.seq], ['dropped', 3])
  })

  test('begins a new log where the journal was tampered with, or is gone', async (t) => {
    for (const spoil of [
      (text: string) => text.replace('"tokensIn":1,', '"tokensIn":7,'),
      () => 'nonsense\n',
      (text: string) => `B${text.slice(1)}`,
    ]) {
      const dir = temporaryDir(t)
      const first = openKept(dir)
      first.trail.append(entry(1))
      first.trail.append(entry(2))
      release(dir)
      const path = join(dir, 'journal')
      writeFileSync(path, spoil(readFileSync(path, 'utf8')))
      const second = openKept(dir)
      second.trail.close()
      const events = [...first.events, ...second.events]
      assert.deepEqual(
        openings(events).map(({ seq, reason }) => [seq, reason]),
        [
          [0, 'new'],
          [0, 'damaged'],
        ],
      )
      assert.deepEqual((await verifyLines(exported(events))).problems, [])
    }
  })

  test('cuts off a record that was being written when the process was killed, and tells nobody of it', async (t) => {
    const dir = temporaryDir(t)
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 400 }), async (bytes) => {
        const own = join(dir, String(Math.random()))
        const first = openKept(own)
        first.trail.append(entry(1))
        first.trail.append(entry(2))
        release(own)
        const journal = readFileSync(join(own, 'journal'))
        writeFileSync(join(own, 'journal'), journal.subarray(0, -bytes))
        // Nobody was given what was cut off.
        const given = first.events.filter(({ data }) => data.form === 'checkpoint' || data.seq < 2)
        const second = openKept(own)
        second.trail.close()
        const verdict = await verifyLines(exported([...given, ...second.events]))
        assert.deepEqual([verdict.problems, verdict.records, verdict.logs.length], [[], 3, 1])
      }),
      { seed: 3, numRuns: 10 },
    )
  })

  test('changes its key: the old one vouches for the new one', async (t) => {
    const dir = temporaryDir(t)
    const first = openKept(dir)
    const { publicKey } = first.trail.state()
    first.trail.append(entry(1))
    first.trail.close()
    const next = makeNextKey(dir)
    const second = openKept(dir)
    assert.equal(second.trail.state().publicKey, next)
    second.trail.append(entry(2))
    second.trail.close()
    const third = openKept(dir)
    third.trail.close()
    const lines = exported([...first.events, ...second.events, ...third.events])
    assert.deepEqual((await verifyLines(lines, { keys: [publicKey] })).problems, [])
    // A change that the old key did not sign is none.
    const forged = lines.map((line) => line.replace(/"signature":"..../, '"signature":"AAAA'))
    const { problems } = await verifyLines(forged, { keys: [publicKey] })
    assert.ok(problems.some(({ kind, message }) => kind === 'unsigned' && message.includes('vouches')))
    const stranger = openKept(temporaryDir(t))
    stranger.trail.close()
    const foreign = await verifyLines(lines, { keys: [stranger.trail.state().publicKey] })
    assert.equal(foreign.ok, false)
  })

  test('takes a clock that goes backwards as it comes', async (t) => {
    let now = start
    const { trail, events } = openKept(temporaryDir(t), { clock: () => now, checkpointRecords: 1 })
    for (let number = 1; number <= 5; number++) {
      now -= 3_600_000
      trail.append(entry(number, { at: now }))
      trail.checkpoint()
    }
    trail.close()
    assert.deepEqual((await verifyLines(exported(events))).problems, [])
  })

  test('of two writers are two logs, and one says nothing of the other', async (t) => {
    const [one, two] = [openKept(temporaryDir(t)), openKept(temporaryDir(t), { writer: 'node+2' })]
    for (let number = 1; number <= 5; number++) {
      one.trail.append(entry(number))
      two.trail.append(entry(number))
    }
    one.trail.close()
    two.trail.close()
    const lines = exported([...one.events, ...two.events])
    const verdict = await verifyLines(lines)
    assert.deepEqual([verdict.ok, verdict.logs.map(({ writer }) => writer)], [true, ['node+2', 'node-1']])
    const log = verdict.logs[0]?.log ?? ''
    const { problems } = await verifyLines(lines.filter((line) => !(line.includes(log) && line.includes('"tokensIn":3,'))))
    assert.deepEqual(
      problems.map(({ kind, log, seq }) => ({ kind, log, seq })),
      [{ kind: 'dropped', log, seq: 3 }],
    )
  })

  test('is rewritten, all of it to the last hash: then the checkpoints say so', async (t) => {
    const [genuine, other] = [openKept(temporaryDir(t)), openKept(temporaryDir(t))]
    for (let number = 1; number <= 8; number++) {
      genuine.trail.append(entry(number))
      if (number % 4 === 0) genuine.trail.checkpoint()
      other.trail.append(entry(number, number === 6 ? { principal: 'mallory' } : {}))
    }
    const key = genuine.trail.state().publicKey
    for (const { trail } of [genuine, other]) trail.close()
    const rewritten = rechain(exported(genuine.events), exported(other.events))
    const { problems } = await verifyLines(rewritten, { keys: [key] })
    // Record 0 is `opened`; the checkpoint over 0 to 4 holds, the one over 0 to 8 does not: its head is record 8.
    assert.deepEqual(
      problems.map(({ kind, seq, until }) => [kind, seq, until]),
      [
        ['changed', 8, null],
        ['rewritten', 5, 8],
      ],
    )
  })

  test('whose key others may read is not opened', (t) => {
    const dir = temporaryDir(t)
    openKept(dir).trail.close()
    const path = join(dir, 'key.pem')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    chmodSync(path, 0o644)
    assert.throws(() => openKept(dir), { code: 'AUDIT_UNUSABLE', message: /chmod 600/ })
  })

  test('belongs to one process at a time', (t) => {
    const dir = temporaryDir(t)
    const { trail } = openKept(dir)
    assert.throws(() => openKept(dir), { code: 'AUDIT_UNUSABLE' })
    trail.close()
    openKept(dir).trail.close()
  })
})
