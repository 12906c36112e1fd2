import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { BodyReader, type Encoding } from '../../inference/server/body-reader.ts'
import { Budget } from '../../inference/server/budget.ts'
import { Hold } from '../../inference/server/hold.ts'

const limits = { maxBodyBytes: 4_194_304, maxBufferedBytes: 16_777_216, minBodyRate: 1_024, requestMs: 30_000 }

function reader(encoding: Encoding = 'identity', length?: number, budget = new Budget(limits.maxBufferedBytes)) {
  const hold = new Hold(budget, 'p', () => 0)
  return new BodyReader({ hold, encoding, length, limits, startedAt: 0, begunAt: 0 })
}

const pieces = (bytes: Buffer, size: number) =>
  Readable.from(
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size)),
    { objectMode: false },
  )

test('a body is the same whatever its pieces, its encoding, and whether its length is known', async () => {
  const encode = { identity: (bytes: Buffer) => bytes, gzip: gzipSync, deflate: deflateSync }
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ minLength: 1, maxLength: 50_000 }),
      fc.integer({ min: 1, max: 20_000 }),
      fc.constantFrom<Encoding>('identity', 'gzip', 'deflate'),
      fc.boolean(),
      async (bytes, size, encoding, known) => {
        const wire = Buffer.from(encode[encoding](Buffer.from(bytes)))
        const one = reader(encoding, known ? wire.length : undefined)
        assert.deepEqual(await one.read(pieces(wire, Math.max(size, wire.length >> 7))), Buffer.from(bytes))
        assert.equal(one.wireBytes, wire.length)
      },
    ),
    { seed: 1, numRuns: 60 },
  )
})

test('what is no whole stream, or more than one thing, is refused', async () => {
  const gzip = gzipSync('x'.repeat(10_000))
  const deflate = deflateSync('x'.repeat(10_000))
  const rows: [Encoding, Buffer][] = [
    ['gzip', Buffer.from('plain')],
    ['gzip', gzip.subarray(0, -1)],
    ['gzip', gzip.subarray(0, 5)],
    ['gzip', Buffer.concat([gzip, Buffer.from('garbage')])],
    ['gzip', Buffer.concat([gzip, Buffer.alloc(64)])],
    ['deflate', deflate.subarray(0, -4)],
    ['deflate', Buffer.concat([deflate, deflate])],
    ['deflate', deflateRawSync('raw, without the header of zlib')],
  ]
  for (const [encoding, wire] of rows) {
    for (const size of [wire.length, 7]) await assert.rejects(reader(encoding).read(pieces(wire, size)), { code: 'MALFORMED' })
  }
})

test('a bomb is refused by what comes out of it, long before all of it did', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1_048_576))
  const budget = new Budget(limits.maxBufferedBytes)
  await assert.rejects(reader('gzip', bomb.length, budget).read(pieces(bomb, 16_384)), { code: 'TOO_LARGE' })
  assert.ok(budget.total <= limits.maxBodyBytes, `${budget.total} bytes were held`)
  // 2 MiB of zeros are within the bound of a body, and 1,000 times what was sent.
  const small = gzipSync(Buffer.alloc(2 * 1_048_576))
  await assert.rejects(reader('gzip').read(pieces(small, 16_384)), { code: 'TOO_LARGE' })
  // A batch of blank images, as JSON, is no bomb.
  const blank = gzipSync(`[${'0.0,'.repeat(180_000)}0]`)
  assert.equal((await reader('gzip').read(pieces(blank, 16_384))).length, 720_003)
})

test('bytes that say nothing are bounded too', async () => {
  const empty = gzipSync('')
  const members = Buffer.concat(Array.from({ length: Math.ceil(limits.maxBodyBytes / empty.length) + 1 }, () => empty))
  await assert.rejects(reader('gzip').read(pieces(members, 65_536)), { code: 'TOO_LARGE' })
})

test('more than the limit, more or less than was declared, and more than there is room for', async () => {
  await assert.rejects(reader().read(pieces(Buffer.alloc(limits.maxBodyBytes + 1), 65_536)), { code: 'TOO_LARGE' })
  await assert.rejects(reader('identity', 10).read(pieces(Buffer.alloc(11), 4)), { code: 'MALFORMED' })
  await assert.rejects(reader('identity', 10).read(pieces(Buffer.alloc(9), 4)), { code: 'MALFORMED' })
  const budget = new Budget(100_000)
  await assert.rejects(reader('identity', undefined, budget).read(pieces(Buffer.alloc(90_000), 1_000)), { code: 'OVERLOADED' })
})

test('a body has a second, and then so many bytes a second; a whole request has its time', async () => {
  const rows: [number, number, boolean][] = [
    // Milliseconds since the beginning, bytes that came, and whether that is too slow at 1,024 bytes a second.
    [1_000, 0, false],
    [1_001, 0, true],
    [2_000, 1_024, false],
    [2_000, 1_023, true],
    [29_999, 100_000, false],
    [30_000, 100_000, true],
  ]
  for (const [now, bytes, slow] of rows) {
    const payload = new Readable({ read: () => {} })
    const one = reader()
    const read = one.read(payload)
    payload.push(Buffer.alloc(bytes + 1).subarray(1))
    await new Promise((resolve) => setImmediate(resolve))
    assert.equal(one.wireBytes, bytes)
    one.look(now)
    payload.push(null)
    if (slow) await assert.rejects(read, { code: 'TIMED_OUT' })
    else assert.equal((await read).length, bytes)
  }
})

test('a client that goes away leaves nothing behind', async () => {
  for (const encoding of ['identity', 'gzip'] as const) {
    const payload = new Readable({ read: () => {} })
    const read = reader(encoding).read(payload)
    payload.push(Buffer.from([0x1f, 0x8b]))
    payload.destroy()
    await assert.rejects(read, { code: 'ABORTED' })
  }
})

test('what is still being read when its request ended holds nothing any more', () => {
  const budget = new Budget(1_000)
  const hold = new Hold(budget, 'p', () => 0)
  hold.grow(100)
  hold.release()
  assert.throws(() => hold.grow(100), { code: 'ABORTED' })
  assert.equal(budget.total, 0)
})

test('one principal alone may hold three quarters, and a quarter while another wants some', () => {
  const budget = new Budget(1_000)
  for (let i = 0; i < 7; i++) assert.ok(budget.reserve('a', 100, 0))
  assert.ok(!budget.reserve('a', 100, 0), 'the last quarter is for whoever comes')
  assert.ok(budget.reserve('b', 200, 0))
  budget.release('a', 500)
  assert.ok(!budget.reserve('a', 100, 0), '200 and 100 are more than a quarter')
  budget.release('b', 200)
  assert.ok(!budget.reserve('a', 100, 1_999), 'b wanted some less than two seconds ago')
  assert.ok(budget.reserve('a', 100, 2_000))
})

test('a budget never holds more than it has, nor less than nothing', () => {
  const steps = fc.array(fc.record({ who: fc.constantFrom('a', 'b', 'c'), bytes: fc.integer({ min: 0, max: 400 }), give: fc.boolean() }))
  fc.assert(
    fc.property(steps, (steps) => {
      const budget = new Budget(1_000)
      const held: { who: string; bytes: number }[] = []
      for (const [now, { who, bytes, give }] of steps.entries()) {
        const last = give ? held.pop() : undefined
        if (last !== undefined) budget.release(last.who, last.bytes)
        else if (budget.reserve(who, bytes, now * 300)) held.push({ who, bytes })
        const sum = (of: string) => held.reduce((total, one) => (one.who === of ? total + one.bytes : total), 0)
        for (const one of ['a', 'b', 'c']) assert.equal(budget.heldBy(one), sum(one))
        assert.ok(budget.total <= 1_000 && budget.total === sum('a') + sum('b') + sum('c'))
      }
    }),
    { seed: 3 },
  )
})
