import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { appendFile, mkdtemp, readdir, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'

const child = fileURLToPath(new URL('crash-child.ts', import.meta.url))

interface Acknowledged {
  /** Number published, by `partition@offset`. */
  readonly numbers: Map<string, number>
  /** Committed offset by partition. */
  readonly commits: Map<number, number>
}

/** Runs the child until it has acknowledged `calls` more calls, kills it, and adds what it said. */
async function runAndKill(path: string, calls: number, said: Acknowledged): Promise<void> {
  const publisher = spawn(process.execPath, [child, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(publisher, 'exit')
  let seen = 0
  for await (const line of createInterface({ input: publisher.stdout })) {
    if (line.startsWith('commit ')) {
      const [, partition, offset] = line.split(' ').map(Number)
      said.commits.set(partition ?? -1, offset ?? -1)
    } else if (line !== 'ready') {
      for (const entry of line.split(' ')) {
        const [place, number] = entry.split('=')
        said.numbers.set(place ?? '', Number(number))
      }
      // Lines that were written before it died still come.
      if (++seen === calls) publisher.kill('SIGKILL')
    }
  }
  const [, signal] = await exited
  assert.equal(signal, 'SIGKILL')
}

async function check(path: string, said: Acknowledged): Promise<void> {
  const bus = await createEmbeddedBus({ path })
  const found = new Map<string, number>()
  for (const { partition, end } of await bus.partitions('numbers')) {
    let expected = 0
    for await (const records of bus.read('numbers', partition, 0)) {
      for (const record of records) {
        assert.equal(record.offset, expected++, 'offsets are dense')
        const value = Buffer.from(record.value ?? [])
        const number = value.readDoubleLE(0)
        assert.equal(value.length, number % 100 === 0 ? 50_000 : 200)
        assert.ok(
          value.subarray(8).every((byte) => byte === number % 256),
          'no record is torn',
        )
        assert.deepEqual([record.key, record.headers], [String(number), { n: String(number) }])
        found.set(`${partition}@${record.offset}`, number)
      }
    }
    assert.equal(expected, end)
  }
  for (const [place, number] of said.numbers) assert.equal(found.get(place), number, `the record acknowledged at ${place} is there`)
  for (const { partition, committed } of await bus.groups()) {
    assert.ok((committed ?? -1) >= (said.commits.get(partition) ?? 0), 'no acknowledged commit is lost')
    assert.ok((committed ?? -1) <= ((await bus.partitions('numbers'))[partition]?.end ?? 0))
  }
  await bus.close()
}

test('loses nothing that it acknowledged when its process is killed, time after time', async () => {
  const path = await mkdtemp(join(tmpdir(), 'cordon-crash-'))
  const said: Acknowledged = { numbers: new Map(), commits: new Map() }
  // From before the first indexing to well into it.
  for (const calls of [1, 7, 60, 400, 1_500, 3]) {
    await runAndKill(path, calls, said)
    await check(path, said)
  }
  assert.ok(said.numbers.size > 5_000)
  await rm(path, { recursive: true })
})

test('drops a torn end of the journal, and only that', async () => {
  const path = await mkdtemp(join(tmpdir(), 'cordon-torn-'))
  const bus = await createEmbeddedBus({ path })
  await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: 1_000 }])
  const record = { topic: 't', key: 'k', headers: {}, timestamp: 1 }
  await bus.publish([{ ...record, value: Buffer.from('one') }])
  await bus.close()
  const journal = join(path, (await readdir(path)).find((name) => name.startsWith('journal-')) ?? '')
  for (const tear of [Buffer.alloc(4_096), Buffer.from('\xff\x00\x00\x00garbage', 'latin1'), Buffer.from([9])]) {
    await appendFile(journal, tear)
    const again = await createEmbeddedBus({ path })
    assert.equal((await again.partitions('t'))[0]?.end, 1)
    await again.close()
  }
  // Even a journal that lost what the index has does no harm.
  await truncate(journal, 0)
  const again = await createEmbeddedBus({ path })
  assert.deepEqual(await again.publish([{ ...record, value: Buffer.from('two') }]), [{ topic: 't', partition: 0, offset: 1 }])
  await again.close()
  const last = await createEmbeddedBus({ path })
  assert.equal((await last.partitions('t'))[0]?.end, 2)
  await last.close()
  await rm(path, { recursive: true })
})

test('lets one process at a time in, says which, and takes over from a dead one', async () => {
  const path = await mkdtemp(join(tmpdir(), 'cordon-lock-'))
  const publisher = spawn(process.execPath, [child, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(publisher.stdout, 'data')
  await assert.rejects(createEmbeddedBus({ path }), (error: { code?: string; message?: string }) => {
    assert.equal(error.code, 'BUS_LOCKED')
    assert.match(error.message ?? '', new RegExp(`process ${publisher.pid} `))
    return true
  })
  publisher.kill('SIGKILL')
  await once(publisher, 'exit')
  // Several find the dead one's lock at once; one gets it.
  const opened = await Promise.allSettled([1, 2, 3].map(() => createEmbeddedBus({ path })))
  assert.deepEqual(opened.map((each) => each.status).sort(), ['fulfilled', 'rejected', 'rejected'])
  for (const each of opened) if (each.status === 'fulfilled') await each.value.close()
  const again = await createEmbeddedBus({ path })
  await again.close()
  await rm(path, { recursive: true })
})
