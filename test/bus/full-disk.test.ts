import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'

const child = fileURLToPath(new URL('./full-disk-child.ts', import.meta.url))

test('a full disk refuses records, ends nothing, and takes nothing back', { timeout: 30_000 }, async (t) => {
  const path = await mkdtemp(join(tmpdir(), 'cordon-full-disk-'))
  t.after(() => rm(path, { recursive: true }))
  // In units of 512 bytes: no file grows beyond 4 MiB.
  const script = 'ulimit -f 8192; exec "$0" "$1" "$2"'
  const { stdout } = await promisify(execFile)('sh', ['-c', script, process.execPath, child, path])
  const { taken, refused } = JSON.parse(stdout) as { taken: number; refused: string }
  assert.equal(refused, 'BUS_UNAVAILABLE')
  const bus = await createEmbeddedBus({ path })
  t.after(() => bus.close())
  let found = 0
  for await (const records of bus.read('t', 0, 0)) for (const { key } of records) assert.equal(key, `k${found++}`)
  assert.equal(found, taken)
})
