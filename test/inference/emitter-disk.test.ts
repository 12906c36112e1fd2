import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { newEvent } from '../../bus/codec.ts'
import { type Disk, realDisk } from '../../inference/emitter/disk.ts'
import { type Emitter, type EmitterOptions, openEmitter } from '../../inference/emitter/emitter.ts'
import { seeded } from '../attacks/random.ts'
import { MemoryBus, unavailable, until } from './memory-bus.ts'
import { silent } from './node-fixture.ts'

let dir: string
let bus: MemoryBus

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cordon-disk-'))
  bus = new MemoryBus()
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const open = (options: Partial<EmitterOptions> = {}): Promise<Emitter> =>
  openEmitter({ bus, dir, clock: () => 1_000, log: silent, registry: new Registry(), ...options })

/** Numbered by revision; about 1 KB each with a lease of 300 letters. */
function emit(emitter: Emitter, from: number, to: number, lease = 'l'): void {
  for (let revision = from; revision < to; revision++) {
    const data = { lease, revision, node: 'n', at: 0, enforcedAfterMs: null }
    emitter.emit('acknowledgements', newEvent('acknowledgement', data, 'n', 500))
  }
  emitter.flush()
}

const revisionsOn = (from: MemoryBus) =>
  from.of('acknowledgements').map(({ value }) => JSON.parse(Buffer.from(value ?? []).toString()).revision as number)
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i)
const segments = () => readdirSync(dir).filter((name) => name.endsWith('.spool'))

function failing(code: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: by the test`), { code })
}

/** Refuses what it is told to. */
class BrokenDisk implements Disk {
  readonly broken = new Set<keyof Disk>()
  /** Bytes that are taken before the next write fails. */
  room = Number.POSITIVE_INFINITY
  code = 'ENOSPC'

  create(path: string): number {
    this.#check('create')
    return realDisk.create(path)
  }

  write(file: number, bytes: Uint8Array, from: number, position: number): number {
    this.#check('write')
    if (this.room === 0) throw failing(this.code)
    const taken = Math.min(this.room, bytes.length - from)
    this.room -= taken
    return realDisk.write(file, bytes.subarray(0, from + taken), from, position)
  }

  truncate(file: number, size: number): void {
    this.#check('truncate')
    realDisk.truncate(file, size)
  }

  close(file: number): void {
    realDisk.close(file)
  }

  remove(path: string): void {
    this.#check('remove')
    realDisk.remove(path)
  }

  #check(operation: keyof Disk): void {
    if (this.broken.has(operation)) throw failing(this.code)
  }
}

/** What was logged at error, and that it was over. */
function listening() {
  const lines: string[] = []
  const write = (line: string) => {
    const { level, msg } = JSON.parse(line) as { level: number; msg: string }
    if (level >= 50 || msg.startsWith('over')) lines.push(msg)
  }
  return { lines, log: pino({ level: 'info' }, { write }) }
}

test('a full disk costs nothing while the bus takes events: they go there from memory', async () => {
  const disk = new BrokenDisk()
  const { lines, log } = listening()
  const clock = { now: 0 }
  const emitter = await open({ disk, log, clock: () => clock.now })
  disk.room = 700
  for (let i = 0; i < 20; i++) {
    emit(emitter, i * 10, i * 10 + 10)
    await emitter.drain()
  }
  disk.room = Number.POSITIVE_INFINITY
  clock.now = 10_000
  emit(emitter, 200, 210)
  await emitter.drain()
  assert.deepEqual(revisionsOn(bus), range(0, 210))
  assert.equal(emitter.state().dropped, 0)
  const sentence = 'emitter: the spool cannot be written; events are in memory alone'
  assert.deepEqual(lines, [sentence, `over: ${sentence}`], 'said once, and once that it is over')
  await emitter.close()
})

for (const code of ['ENOSPC', 'EFBIG', 'EIO']) {
  test(`${code} in the middle of a write: what is torn is cut off, and what follows is whole`, async () => {
    const disk = new BrokenDisk()
    disk.code = code
    bus.failure = unavailable()
    const emitter = await open({ disk })
    emit(emitter, 0, 10)
    const [name = ''] = segments()
    const { size } = statSync(join(dir, name))
    disk.room = 100
    emit(emitter, 10, 20)
    assert.equal(statSync(join(dir, name)).size, size)
    disk.room = Number.POSITIVE_INFINITY
    emit(emitter, 20, 30)
    bus.failure = undefined
    await emitter.drain()
    assert.deepEqual(revisionsOn(bus), range(0, 30), '10 to 19 came from memory')
    await emitter.close()
  })
}

test('what cannot even be cut off stays in a file that nothing is added to', async () => {
  const disk = new BrokenDisk()
  bus.failure = unavailable()
  const emitter = await open({ disk })
  emit(emitter, 0, 10)
  disk.broken.add('truncate')
  disk.room = 100
  emit(emitter, 10, 20)
  disk.room = Number.POSITIVE_INFINITY
  emit(emitter, 20, 30)
  assert.equal(segments().length, 2)
  assert.equal(await emitter.drain(1), false)
  // As kill -9 leaves it: only what the disk took is there.
  const left = mkdtempSync(join(tmpdir(), 'cordon-disk-'))
  cpSync(dir, left, { recursive: true, filter: (path) => !path.endsWith('lock') })
  const heir = new MemoryBus()
  const next = await open({ dir: left, bus: heir })
  await next.drain()
  assert.deepEqual(revisionsOn(heir), [...range(0, 10), ...range(20, 30)])
  assert.equal(next.state().dropped, 1, 'the torn end is said to have been something')
  await next.close()
  rmSync(left, { recursive: true })
  await emitter.close()
})

test('a disk that refuses everything leaves no trail of empty files', async () => {
  const disk = new BrokenDisk()
  bus.failure = unavailable()
  const emitter = await open({ disk })
  disk.broken.add('truncate')
  disk.room = 0
  for (let i = 0; i < 100; i++) emit(emitter, i, i + 1)
  assert.deepEqual(segments(), [])
  bus.failure = undefined
  await emitter.drain()
  assert.deepEqual(revisionsOn(bus), range(0, 100))
  await emitter.close()
})

test('the bus away and the disk full: memory is bounded, and what it does not hold is counted', async () => {
  const disk = new BrokenDisk()
  const { lines, log } = listening()
  bus.failure = unavailable()
  const emitter = await open({ disk, log })
  disk.room = 0
  const lease = 'x'.repeat(300)
  for (let i = 0; i < 12; i++) emit(emitter, i * 1_000, (i + 1) * 1_000, lease)
  const { emitted, dropped } = emitter.state()
  assert.equal(emitted + dropped, 12_000)
  assert.ok(dropped > 0 && emitted > 5_000, `${emitted} in at most 8 MiB`)
  assert.equal(lines.filter((line) => line.includes('lost')).length, 1)
  bus.failure = undefined
  await emitter.drain()
  assert.deepEqual(revisionsOn(bus), range(0, emitted), 'the oldest, in order')
  await emitter.close()
})

test('what is in memory alone at the end is counted as lost', async () => {
  const disk = new BrokenDisk()
  bus.failure = unavailable()
  const emitter = await open({ disk })
  disk.room = 0
  emit(emitter, 0, 7)
  assert.equal(emitter.state().dropped, 0)
  await emitter.close()
  assert.equal(emitter.state().dropped, 7)
})

test('a cursor that cannot be written keeps no shipped segment on the disk', async () => {
  const disk = new BrokenDisk()
  bus.failure = unavailable()
  const emitter = await open({ disk, maxBytes: 65_536 })
  for (let i = 0; i < 100; i++) emit(emitter, i, i + 1)
  assert.ok(segments().length > 1)
  disk.broken.add('write')
  bus.failure = undefined
  await emitter.drain()
  assert.ok(segments().length <= 1)
  disk.broken.clear()
  emit(emitter, 100, 110)
  await emitter.drain()
  assert.deepEqual(revisionsOn(bus), range(0, 110))
  assert.equal(emitter.state().bus, 'ok', 'and it is not the bus that is blamed')
  await emitter.close()
})

test('what is shipped makes room for what is not', async () => {
  const disk = new BrokenDisk()
  const { lines, log } = listening()
  const emitter = await open({ disk, log })
  emit(emitter, 0, 10)
  await emitter.drain()
  assert.equal(segments().length, 1, 'kept, to be written on')
  const remove = disk.remove.bind(disk)
  disk.remove = (path) => {
    remove(path)
    if (!path.endsWith('cursor')) disk.room = Number.POSITIVE_INFINITY
  }
  disk.broken.add('truncate')
  disk.room = 0
  bus.failure = unavailable()
  emit(emitter, 10, 20)
  assert.ok(emitter.state().spoolBytes > 0)
  assert.deepEqual(
    lines.filter((line) => line.includes('memory alone')),
    [],
  )
  bus.failure = undefined
  await emitter.drain()
  assert.deepEqual(revisionsOn(bus), range(0, 20))
  await emitter.close()
})

test('segments that cannot be removed are counted against the room, and removed when they can be', async () => {
  const disk = new BrokenDisk()
  const emitter = await open({ disk, maxBytes: 65_536 })
  disk.broken.add('remove')
  for (let i = 0; i < 100; i++) {
    emit(emitter, i * 10, i * 10 + 10)
    await emitter.drain()
  }
  const { emitted, dropped } = emitter.state()
  assert.equal(emitted + dropped, 1_000)
  assert.ok(dropped > 0)
  assert.deepEqual(revisionsOn(bus), range(0, emitted))
  disk.broken.clear()
  await emitter.close()
  assert.deepEqual(readdirSync(dir), ['lock'])
})

test('damage in the middle costs what is damaged, and is counted', async () => {
  bus.failure = unavailable()
  const first = await open()
  for (let i = 0; i < 30; i++) emit(first, i, i + 1)
  await first.close()
  const path = join(dir, segments()[0] ?? '')
  const bytes = readFileSync(path)
  const frame = bytes.length / 30
  bytes.fill(0xff, Math.floor(frame * 10.5), Math.floor(frame * 12.5))
  writeFileSync(path, bytes)
  bus.failure = undefined
  const second = await open()
  await second.drain()
  // The bytes hit 10, 11 and 12.
  assert.deepEqual(revisionsOn(bus), [...range(0, 10), ...range(13, 30)])
  assert.equal(second.state().dropped, 1)
  assert.equal(second.state().spoolBytes, 0)
  await second.close()
})

test('a segment that was taken away is counted, and does not stop what follows it', async () => {
  bus.failure = unavailable()
  const emitter = await open({ maxBytes: 65_536 })
  for (let i = 0; i < 150; i++) emit(emitter, i, i + 1)
  await emitter.close()
  const [, second = ''] = segments()
  const next = await open({ maxBytes: 65_536 })
  rmSync(join(dir, second))
  bus.failure = undefined
  await next.drain()
  const revisions = revisionsOn(bus)
  assert.equal(next.state().dropped, 1)
  assert.deepEqual(
    revisions,
    [...revisions].sort((a, b) => a - b),
  )
  assert.equal(revisions[0], 0)
  assert.equal(revisions.at(-1), 149)
  assert.ok(revisions.length < 150)
  await next.close()
})

test('a full spool keeps room for what says how much was lost', async () => {
  bus.failure = unavailable()
  const emitter = await open({ maxBytes: 65_536 })
  const flow = {
    workload: 'w',
    ...{ source: '10.0.0.1', destination: '10.0.0.2', port: 1, protocol: 'tcp' },
    ...{ bytesOut: 1, bytesIn: 1, packetsOut: 1, packetsIn: 1, durationMs: 1 },
  }
  for (let i = 0; i < 1_000; i++) emitter.emit('flows', newEvent('flow', flow as never, 'n', 0))
  emitter.flush()
  const { emitted, dropped } = emitter.state()
  assert.ok(dropped > 0)
  emit(emitter, 0, 5)
  assert.deepEqual([emitter.state().emitted, emitter.state().dropped], [emitted + 5, dropped])
  await emitter.close()
})

describe('seeded: a disk and a bus that fail as they like', () => {
  for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
    test(`seed ${seed}: each event once and in order, or counted`, async () => {
      const random = seeded(seed)
      const chance = (p: number) => random.next() < p
      const disk = new BrokenDisk()
      const emitter = await open({ disk, maxBytes: 262_144 })
      let next = 0
      for (let step = 0; step < 400; step++) {
        disk.broken.clear()
        disk.code = chance(0.5) ? 'ENOSPC' : 'EIO'
        for (const operation of ['create', 'truncate', 'remove'] as const) if (chance(0.2)) disk.broken.add(operation)
        disk.room = chance(0.4) ? random.below(3_000) : Number.POSITIVE_INFINITY
        if (chance(0.1)) bus.failure = bus.failure === undefined ? unavailable() : undefined
        const count = random.below(20)
        emit(emitter, next, next + count, 'x'.repeat(random.below(300)))
        next += count
        if (chance(0.3)) await new Promise((resolve) => setImmediate(resolve))
      }
      disk.broken.clear()
      disk.room = Number.POSITIVE_INFINITY
      bus.failure = undefined
      assert.equal(await emitter.drain(5_000), true)
      const { emitted, dropped, spoolBytes } = emitter.state()
      const revisions = revisionsOn(bus)
      assert.equal(emitted + dropped, next)
      assert.equal(revisions.length, emitted)
      assert.ok(
        revisions.every((revision, i) => i === 0 || revision > (revisions[i - 1] ?? 0)),
        'in order, each once',
      )
      assert.equal(spoolBytes, 0)
      await emitter.close()
    })
  }
})

test('a real file system of 256 KiB: full, and then not', async (t) => {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', dir], { stdio: 'ignore' })
  } catch {
    // npm test has to pass with Node and npm alone, also for who is not root; CI is, and has the real file system.
    return t.skip('mounting a file system needs root')
  }
  try {
    bus.failure = unavailable()
    const emitter = await open()
    const lease = 'x'.repeat(300)
    for (let i = 0; i < 15_000; i += 20) emit(emitter, i, i + 20, lease)
    const { emitted, dropped, spoolBytes } = emitter.state()
    assert.equal(emitted + dropped, 15_000)
    assert.ok(dropped > 0)
    assert.ok(spoolBytes > 100_000 && spoolBytes <= 262_144, `${spoolBytes}`)
    bus.failure = undefined
    await emitter.drain()
    assert.deepEqual(revisionsOn(bus), range(0, emitted))
    bus.failure = unavailable()
    emit(emitter, 15_000, 15_050)
    await until(() => emitter.state().bus === 'away')
    assert.ok(emitter.state().spoolBytes > 10_000, 'on the disk again')
    bus.failure = undefined
    await emitter.drain()
    assert.deepEqual(revisionsOn(bus).slice(emitted), range(15_000, 15_050))
    assert.equal(emitter.state().dropped, dropped)
    await emitter.close()
  } finally {
    execFileSync('umount', ['-l', dir])
  }
})
