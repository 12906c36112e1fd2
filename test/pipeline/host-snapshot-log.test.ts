import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { SnapshotLog } from '../../pipeline/host/snapshot-log.ts'
import { snapshotTopic } from '../../schemas/index.ts'
import { epoch } from '../contracts/observations.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'

const clock = () => epoch

function open() {
  const memory = new MemoryLog([snapshotTopic])
  const bus = new MemoryBus(memory)
  return { memory, bus, log: new SnapshotLog(bus, 'detect', clock), again: () => new SnapshotLog(bus, 'detect', clock) }
}

/** JSON that gzip cannot make much smaller than `bytes`. */
function bulky(bytes: number): Buffer {
  return Buffer.from(JSON.stringify({ bulk: randomBytes(bytes).toString('base64') }))
}

describe('snapshot log', () => {
  it('gives back what was written, the furthest first', async () => {
    const { log, again } = open()
    await log.write('requests', 1, 'a', 10, Buffer.from('{"at":10}'))
    await log.write('requests', 1, 'b', 20, Buffer.from('{"at":20}'))
    await log.write('requests', 2, 'a', 30, Buffer.from('{"at":30}'))
    const found = await again().find('requests', 1)
    assert.deepEqual(
      found.map(({ slot, offset }) => [slot, offset]),
      [
        ['b', 20],
        ['a', 10],
      ],
    )
    assert.deepEqual(await Promise.all(found.map((stored) => stored.read())), [{ at: 20 }, { at: 10 }])
  })

  it('cuts into chunks of at most 512 KiB, and takes back what a longer one left', async () => {
    const { memory, log, again } = open()
    const long = bulky(1_200_000)
    await log.write('requests', 0, 'a', 10, long)
    const [stored] = await again().find('requests', 0)
    assert.deepEqual(await stored?.read(), JSON.parse(long.toString()))
    assert.deepEqual(
      memory.all('snapshots').map(({ key, value }) => [key, (value?.length ?? 0) <= 524_288]),
      [
        ['detect/requests/0/a/0', true],
        ['detect/requests/0/a/1', true],
        ['detect/requests/0/a/2', true],
      ],
    )
    await log.write('requests', 0, 'a', 20, Buffer.from('{}'))
    const tombstones = memory.all('snapshots').filter(({ value }) => value === null)
    assert.deepEqual(
      tombstones.map(({ key }) => key),
      ['detect/requests/0/a/1', 'detect/requests/0/a/2'],
    )
    assert.deepEqual(await (await again().find('requests', 0))[0]?.read(), {})
  })

  it('passes over one that was torn, for the one before', async () => {
    const { memory, log, again } = open()
    await log.write('requests', 0, 'b', 5, bulky(600_000))
    await log.write('requests', 0, 'a', 10, Buffer.from('{"at":10}'))
    const torn = new MemoryLog([snapshotTopic])
    await new SnapshotLog(new MemoryBus(torn), 'detect', clock).write('requests', 0, 'b', 20, bulky(1_200_000))
    const [first] = torn.all('snapshots')
    assert.ok(first)
    memory.append(first)
    const found = await again().find('requests', 0)
    assert.deepEqual(
      found.map(({ offset }) => offset),
      [10],
    )
  })

  it('refuses one whose bytes changed', async () => {
    const { memory, log, again } = open()
    await log.write('requests', 0, 'a', 10, Buffer.from('{"at":10}'))
    const [record] = memory.all('snapshots')
    if (record?.value) record.value[12] = (record.value[12] ?? 0) ^ 1
    const [stored] = await again().find('requests', 0)
    assert.ok(stored)
    await assert.rejects(stored.read(), { code: 'SNAPSHOT_CORRUPT' })
  })

  it('leaves other groups and strange records alone', async () => {
    const { bus, log, again } = open()
    await new SnapshotLog(bus, 'other', clock).write('requests', 0, 'a', 10, Buffer.from('{}'))
    await bus.publish([
      { topic: 'snapshots', key: 'detect/requests/0/a/0', value: Buffer.from('x'), headers: { 'cordon-chunks': '1e9' }, timestamp: epoch },
    ])
    assert.deepEqual(await again().find('requests', 0), [])
    assert.deepEqual(await log.find('requests', 0), [])
  })
})
