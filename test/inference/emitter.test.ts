import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, test } from 'node:test'
import { Registry } from 'prom-client'
import { newEvent } from '../../bus/codec.ts'
import type { OutgoingRecord } from '../../bus/port.ts'
import { type Emitter, type EmitterOptions, openEmitter } from '../../inference/emitter/emitter.ts'
import { EmitterError } from '../../inference/emitter/errors.ts'
import { decodeFrame, encodeFrame } from '../../inference/emitter/frame.ts'
import { sentHeader } from '../../schemas/index.ts'
import { MemoryBus, unavailable, until } from './memory-bus.ts'
import { silent } from './node-fixture.ts'

let dir: string
let bus: MemoryBus

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cordon-spool-'))
  bus = new MemoryBus()
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: Partial<EmitterOptions> = {}): Promise<Emitter> =>
  openEmitter({ bus, dir, clock: () => 1_000, log: silent, registry: new Registry(), ...options })

/** Acknowledgements numbered by revision: small events that say their order. */
function emit(emitter: Emitter, from: number, until: number, lease = 'l'): void {
  for (let revision = from; revision < until; revision++) {
    const data = { lease, revision, node: 'n', at: 0, enforcedAfterMs: null }
    emitter.emit('acknowledgements', newEvent('acknowledgement', data, 'n', 500))
  }
}

const revisions = () => bus.of('acknowledgements').map(({ value }) => JSON.parse(Buffer.from(value ?? []).toString()).revision as number)
const range = (from: number, until: number) => Array.from({ length: until - from }, (_, i) => from + i)
const segments = () => readdirSync(dir).filter((name) => name.endsWith('.spool'))

test('events come out in the order they went in, in as few batches as the bus allows', async () => {
  const emitter = await open()
  emit(emitter, 0, 500)
  await new Promise((resolve) => setImmediate(resolve))
  emit(emitter, 500, 900)
  assert.equal(await emitter.drain(), true)
  assert.deepEqual(revisions(), range(0, 900))
  assert.ok(bus.batches.length <= 3, `${bus.batches}`)
  assert.deepEqual(emitter.state(), { spoolBytes: 0, emitted: 900, dropped: 0, oldestMs: null, bus: 'ok', since: 1_000 })
  await emitter.close()
  assert.deepEqual(readdirSync(dir), ['lock'], 'nothing is left of a spool that is done')
})

test('a flushed event is in the file, and one that is not flushed follows at the end of the turn', async () => {
  bus.failure = unavailable()
  const emitter = await open()
  emit(emitter, 0, 1)
  assert.equal(segments().length, 0)
  emitter.flush()
  const [name = ''] = segments()
  const { size } = statSync(join(dir, name))
  assert.ok(size > 0)
  emit(emitter, 1, 2)
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(statSync(join(dir, name)).size, 2 * size)
  assert.equal(statSync(join(dir, name)).mode & 0o777, 0o600)
  await emitter.close()
})

test('the bus goes away: events wait, and go out in order when it is back', async () => {
  const emitter = await open()
  emit(emitter, 0, 10)
  await emitter.drain()
  bus.failure = unavailable()
  emit(emitter, 10, 200)
  await until(() => emitter.state().bus === 'away')
  const { spoolBytes, oldestMs } = emitter.state()
  assert.ok(spoolBytes > 0)
  assert.equal(oldestMs, 500, 'emitted at 500, and it is 1,000')
  assert.equal(await emitter.drain(1), false)
  bus.failure = undefined
  assert.equal(await emitter.drain(), true)
  assert.deepEqual(revisions(), range(0, 200))
  assert.equal(emitter.state().bus, 'ok')
  await emitter.close()
})

test('each record says when it was sent, by the clock of the attempt that went through', async () => {
  const clock = { now: 1_000 }
  const emitter = await open({ clock: () => clock.now })
  bus.failure = unavailable()
  emit(emitter, 0, 1)
  await until(() => emitter.state().bus === 'away')
  clock.now = 3_601_000
  bus.failure = undefined
  await emitter.drain()
  emit(emitter, 1, 2)
  await emitter.drain()
  assert.deepEqual(
    bus.of('acknowledgements').map(({ headers, timestamp }) => [headers[sentHeader], timestamp]),
    [
      ['3601000', 500],
      ['3601000', 500],
    ],
  )
  await emitter.close()
})

test('what does not fit in memory is read back from the disk, in order', async () => {
  bus.failure = unavailable()
  const emitter = await open()
  // 12,000 events of about 1 KB: more than the 8 MiB that are kept in memory.
  const lease = 'x'.repeat(300)
  for (let i = 0; i < 12; i++) {
    emit(emitter, i * 1_000, (i + 1) * 1_000, lease)
    emitter.flush()
  }
  assert.ok(emitter.state().spoolBytes > 8_388_608)
  assert.ok(segments().length > 1)
  bus.failure = undefined
  await until(() => bus.records.length > 0)
  emit(emitter, 12_000, 12_100, lease)
  await emitter.drain()
  assert.deepEqual(revisions(), range(0, 12_100))
  assert.equal(emitter.state().spoolBytes, 0)
  assert.ok(segments().length <= 1)
  await emitter.close()
})

test('a new process goes on where the old one stopped', async () => {
  const first = await open()
  emit(first, 0, 10)
  await first.drain()
  bus.failure = unavailable()
  emit(first, 10, 20)
  await first.close()
  assert.equal(segments().length, 1)
  bus.failure = undefined
  const second = await open()
  emit(second, 20, 30)
  await second.drain()
  assert.deepEqual(revisions(), range(0, 30), 'each once, since the cursor says what was shipped')
  await second.close()
})

test('without its cursor a spool is sent again, with the same ids', async () => {
  const first = await open()
  emit(first, 0, 10)
  await first.drain()
  bus.failure = unavailable()
  emit(first, 10, 20)
  await first.close()
  writeFileSync(join(dir, 'cursor'), 'damaged')
  bus.failure = undefined
  const second = await open()
  await second.drain()
  assert.deepEqual(revisions(), [...range(0, 10), ...range(0, 20)])
  const ids = bus.of('acknowledgements').map(({ headers }) => headers.ce_id)
  assert.equal(new Set(ids).size, 20)
  await second.close()
})

test('a torn end is cut, and what follows it is not lost', async () => {
  bus.failure = unavailable()
  const first = await open()
  emit(first, 0, 10)
  await first.close()
  const torn = join(dir, segments()[0] ?? '')
  truncateSync(torn, statSync(torn).size - 7)
  const second = await open()
  emit(second, 10, 20)
  bus.failure = undefined
  await second.drain()
  assert.deepEqual(revisions(), [...range(0, 9), ...range(10, 20)])
  assert.equal(second.state().spoolBytes, 0)
  await second.close()
})

test('bytes that are no frame are skipped, whatever they are', async () => {
  bus.failure = unavailable()
  const first = await open()
  emit(first, 0, 5)
  await first.close()
  for (const junk of [Buffer.alloc(64), Buffer.alloc(64, 0xff), Buffer.from('not a frame at all')]) {
    appendFileSync(join(dir, segments()[0] ?? ''), junk)
    const again = await open()
    await again.close()
  }
  bus.failure = undefined
  const last = await open()
  await last.drain()
  assert.deepEqual(revisions(), range(0, 5))
  await last.close()
})

test('a full spool loses the newest events and counts them', async () => {
  bus.failure = unavailable()
  const emitter = await open({ maxBytes: 65_536 })
  emit(emitter, 0, 1_000)
  emitter.flush()
  const { emitted, dropped, spoolBytes } = emitter.state()
  assert.equal(emitted + dropped, 1_000)
  assert.ok(dropped > 0 && emitted > 0)
  assert.ok(spoolBytes <= 65_536)
  const onDisk = () => segments().reduce((sum, name) => sum + statSync(join(dir, name)).size, 0)
  assert.ok(onDisk() <= 65_536, `${onDisk()}`)
  bus.failure = undefined
  await emitter.drain()
  assert.deepEqual(revisions(), range(0, emitted))
  for (let i = 0; i < 20; i++) {
    emit(emitter, 0, 50)
    await emitter.drain()
    assert.ok(onDisk() <= 65_536)
  }
  assert.equal(emitter.state().dropped, dropped, 'there is room again')
  await emitter.close()
})

test('a record that the bus refuses is left out and counted; the others go through', async () => {
  const emitter = await open()
  bus.refused.add('telemetry')
  emit(emitter, 0, 5)
  const sample = {
    pool: null,
    requests: 0,
    emitted: 0,
    dropped: 0,
    spoolBytes: 0,
    loopDelayMs: 0,
    memoryBytes: 0,
    tensorBytes: 0,
    queueDepth: 0,
    everyMs: 5_000,
    closing: false,
    controlStaleMs: 0,
  }
  emitter.emit('telemetry', newEvent('telemetry', { node: 'n', ...sample }, 'n', 0))
  emit(emitter, 5, 10)
  await emitter.drain()
  assert.deepEqual(revisions(), range(0, 10))
  assert.equal(emitter.state().dropped, 1)
  await emitter.close()
})

test('an event that cannot be encoded is counted, and nothing is thrown', async () => {
  const emitter = await open()
  emit(emitter, 0, 1, 'x'.repeat(2_000_000))
  emit(emitter, 0, 1)
  await emitter.drain()
  assert.equal(emitter.state().dropped, 1)
  assert.deepEqual(revisions(), [0])
  await emitter.close()
  emit(emitter, 1, 2)
  assert.equal(emitter.state().dropped, 2)
})

test('one process a directory', async () => {
  const emitter = await open()
  await assert.rejects(open(), { code: 'SPOOL_UNUSABLE' })
  await emitter.close()
  await (await open()).close()
})

test('a directory that cannot be is refused at once', async () => {
  writeFileSync(join(dir, 'file'), '')
  await assert.rejects(open({ dir: join(dir, 'file') }), (error) => error instanceof EmitterError && error.code === 'SPOOL_UNUSABLE')
})

test('a frame is read back as it was written, and not when a bit of it changed', () => {
  const records: OutgoingRecord[] = [
    { topic: 't', key: 'ключ', value: Buffer.from('{"a":1}'), headers: { ce_id: '1' }, timestamp: 5 },
    { topic: 't', key: null, value: null, headers: {}, timestamp: 0, partition: 3 },
    { topic: 't', key: '', value: new Uint8Array(0), headers: {}, timestamp: 0 },
  ]
  for (const record of records) {
    const bytes = encodeFrame(record)
    const read = decodeFrame(bytes, 0)
    assert.deepEqual(
      { ...read?.record, value: read?.record.value && Buffer.from(read.record.value) },
      { ...record, value: record.value && Buffer.from(record.value) },
    )
    assert.equal(read?.size, bytes.length)
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed.writeUInt8(changed.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3)
      assert.equal(decodeFrame(changed, 0), undefined, `bit ${bit}`)
    }
    for (let length = 0; length < bytes.length; length++) assert.equal(decodeFrame(bytes.subarray(0, length), 0), undefined)
  }
})

test('the spool holds no more than it was given, and says so in metrics', async () => {
  const registry = new Registry()
  const emitter = await open({ registry })
  emit(emitter, 0, 3)
  await emitter.drain()
  const metrics = await registry.metrics()
  assert.match(metrics, /cordon_events_shipped_total 3/)
  assert.match(metrics, /cordon_spool_bytes 0/)
  await emitter.close()
  assert.throws(() => readFileSync(join(dir, 'cursor')))
})
