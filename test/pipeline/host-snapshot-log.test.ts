import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it } from 'node:test'
import { SnapshotLog, type StoredSnapshot } from '../../pipeline/host/snapshot/snapshot-log.ts'
import { snapshotTopic } from '../../schemas/index.ts'
import { epoch } from '../contracts/observations.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'

const clock = () => epoch

function open() {
  const memory = new MemoryLog([snapshotTopic])
  const bus = new MemoryBus(memory)
  return { memory, bus, log: new SnapshotLog(bus, 'detect', clock), again: () => new SnapshotLog(bus, 'detect', clock) }
}

async function linesOf(stored: StoredSnapshot | undefined): Promise<string[]> {
  assert.ok(stored)
  const all: string[] = []
  for await (const some of stored.lines()) all.push(...some)
  return all
}

/** JSON that gzip cannot make much smaller than `bytes`. */
function bulky(bytes: number): string {
  return `${JSON.stringify({ bulk: randomBytes(bytes).toString('base64') })}\n`
}

describe('snapshot log', () => {
  it('gives back what was written, the furthest first', async () => {
    const { log, again } = open()
    await log.write({ topic: 'requests', partition: 1, partitions: 4, slot: 'a', offset: 10 }, ['{"at":10}\n'])
    await log.write({ topic: 'requests', partition: 1, partitions: 4, slot: 'b', offset: 20 }, ['{"at":20}\n'])
    await log.write({ topic: 'requests', partition: 2, partitions: 4, slot: 'a', offset: 30 }, ['{"at":30}\n'])
    const found = await again().find('requests', 1)
    assert.deepEqual(
      found.map(({ slot, offset }) => [slot, offset]),
      [
        ['b', 20],
        ['a', 10],
      ],
    )
    assert.deepEqual(await Promise.all(found.map(linesOf)), [['{"at":20}'], ['{"at":10}']])
  })

  it('cuts into chunks of at most 512 KiB, and takes back what a longer one left', async () => {
    const { memory, log, again } = open()
    const long = bulky(1_200_000)
    await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 10 }, [long])
    const [stored] = await again().find('requests', 0)
    assert.deepEqual(await linesOf(stored), [long.trimEnd()])
    assert.deepEqual(
      memory.all('snapshots').map(({ key, value }) => [key, (value?.length ?? 0) <= 524_288]),
      [
        ['detect/requests/0/a/0', true],
        ['detect/requests/0/a/1', true],
        ['detect/requests/0/a/2', true],
      ],
    )
    await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 20 }, ['{}\n'])
    const tombstones = memory.all('snapshots').filter(({ value }) => value === null)
    assert.deepEqual(
      tombstones.map(({ key }) => key),
      ['detect/requests/0/a/1', 'detect/requests/0/a/2'],
    )
    assert.deepEqual(await linesOf((await again().find('requests', 0))[0]), ['{}'])
  })

  it('passes over one that was torn, for the one before', async () => {
    const { memory, log, again } = open()
    await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'b', offset: 5 }, [bulky(600_000)])
    await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 10 }, ['{"at":10}\n'])
    const torn = new MemoryLog([snapshotTopic])
    await new SnapshotLog(new MemoryBus(torn), 'detect', clock).write(
      { topic: 'requests', partition: 0, partitions: 4, slot: 'b', offset: 20 },
      [bulky(1_200_000)],
    )
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
    await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 10 }, ['{"at":10}\n'])
    const [record] = memory.all('snapshots')
    if (record?.value) record.value[12] = (record.value[12] ?? 0) ^ 1
    const [stored] = await again().find('requests', 0)
    assert.ok(stored)
    await assert.rejects(linesOf(stored), { code: 'SNAPSHOT_CORRUPT' })
  })

  it('refuses what was replaced while it was being read', async () => {
    const { log, again, memory } = open()
    await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 10 }, ['{"at":10}\n'])
    const [stored] = await again().find('requests', 0)
    memory.partitions('snapshots')[0]?.splice(0, 1)
    await assert.rejects(linesOf(stored), { code: 'SNAPSHOT_CORRUPT' })
  })

  it('stops writing when it may not', async () => {
    const { memory, log, again } = open()
    let writes = 0
    assert.equal(
      await log.write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 10 }, [bulky(1_200_000)], () => ++writes <= 2),
      null,
    )
    assert.equal(memory.all('snapshots').length, 2)
    assert.deepEqual(await again().find('requests', 0), [])
  })

  it('leaves other groups and strange records alone', async () => {
    const { bus, log, again } = open()
    await new SnapshotLog(bus, 'other', clock).write({ topic: 'requests', partition: 0, partitions: 4, slot: 'a', offset: 10 }, ['{}\n'])
    await bus.publish([
      { topic: 'snapshots', key: 'detect/requests/0/a/0', value: Buffer.from('x'), headers: { 'cordon-chunks': '1e9' }, timestamp: epoch },
    ])
    assert.deepEqual(await again().find('requests', 0), [])
    assert.deepEqual(await log.find('requests', 0), [])
  })
})
