import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Failures } from '../../access/failures.ts'

const open = (change: Partial<ConstructorParameters<typeof Failures>[0]> = {}) =>
  new Failures({ perMinute: 6, maxSources: 1_000, linesPerMinute: 100, ...change })

const fail = (failures: Failures, address: string, times: number, now = 0) => {
  for (let i = 0; i < times; i++) failures.add(address, now)
}

test('six failures a minute are let through; then one more every ten seconds', () => {
  const failures = open()
  fail(failures, '192.0.2.1', 5)
  assert.equal(failures.waitMs('192.0.2.1', 0), 0)
  failures.add('192.0.2.1', 0)
  assert.equal(failures.waitMs('192.0.2.1', 0), 10_000)
  assert.equal(failures.waitMs('192.0.2.1', 4_000), 6_000)
  assert.equal(failures.waitMs('192.0.2.1', 10_000), 0)
  failures.add('192.0.2.1', 10_000)
  assert.equal(failures.waitMs('192.0.2.1', 10_000), 10_000)
  assert.equal(failures.waitMs('192.0.2.1', 70_000), 0)
})

test('who asks at the moment it was told to may ask', () => {
  const failures = open({ perMinute: 7 })
  fail(failures, 'a', 100)
  assert.equal(failures.waitMs('a', failures.waitMs('a', 0)), 0)
})

for (const [what, address, other, together] of [
  ['another address', '192.0.2.1', '192.0.2.2', false],
  ['the same over an IPv6 socket', '192.0.2.1', '::ffff:192.0.2.1', true],
  ['the same, written in hex', '192.0.2.1', '::ffff:c000:201', true],
  ['another of the same /64', '2001:db8:1:2::1', '2001:db8:1:2:ffff::9', true],
  ['the same, written out', '2001:db8:1:2::1', '2001:0db8:0001:0002:0000:0000:0000:0001', true],
  ['the next /64', '2001:db8:1:2::1', '2001:db8:1:3::1', false],
  ['what is no address', '', 'unknown', false],
  ['what is no address but looks like it', '1:2', '1:3', false],
] as const)
  test(`${what} counts ${together ? 'together' : 'apart'}`, () => {
    const failures = open()
    fail(failures, address, 6)
    assert.equal(failures.waitMs(other, 0) > 0, together)
  })

test('only so many sources are kept in mind, and those that failed least lately are forgotten', () => {
  const failures = open({ maxSources: 10 })
  fail(failures, 'steady', 6)
  for (let i = 0; i < 1_000; i++) {
    failures.add(`192.0.2.${i}`, i)
    if (i % 5 === 0) failures.add('steady', i)
    assert.ok(failures.size <= 10)
  }
  assert.ok(failures.waitMs('steady', 1_000) > 0)
  failures.add('later', 62_000)
  assert.equal(failures.size, 1, 'what wore off is not kept')
})

test('a line of log a minute for each source, saying how many, and not more than so many over all', () => {
  const failures = open({ linesPerMinute: 3 })
  assert.equal(failures.add('a', 0), 1)
  assert.equal(failures.add('a', 1), 0)
  assert.equal(failures.add('a', 59_999), 0)
  assert.equal(failures.add('a', 60_000), 3)
  assert.deepEqual(
    ['b', 'c', 'd'].map((source) => failures.add(source, 60_001)),
    [1, 1, 0],
  )
})

test('0 is any number', () => {
  const failures = open({ perMinute: 0 })
  fail(failures, 'a', 1_000)
  assert.equal(failures.waitMs('a', 0), 0)
})
