import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const program = fileURLToPath(new URL('sink-process.ts', import.meta.url))

/** Moments between the first event and the kill, milliseconds: inserts and commits follow each other every few. */
const moments = [40, 90, 150, 230, 310]

function run(directory: string, mode: string): { child: ChildProcess; lines: string[]; ready: Promise<unknown> } {
  const child = spawn(process.execPath, [program, directory, mode], { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines: string[] = []
  const reader = createInterface({ input: child.stdout ?? process.stdin })
  const ready = once(reader, 'line')
  reader.on('line', (line) => lines.push(line))
  return { child, lines, ready }
}

it('has every acknowledged event in the store once, however often it is killed', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'cordon-killed-'))
  const acknowledged = new Set<string>()
  for (const moment of moments) {
    const { child, lines, ready } = run(directory, 'publish')
    await ready
    await delay(moment)
    child.kill('SIGKILL')
    await once(child, 'close')
    for (const line of lines) if (line.length === 36) acknowledged.add(line)
  }
  const { child, lines } = run(directory, 'drain')
  const [code] = await once(child, 'close')
  assert.equal(code, 0)
  const { rows, ids, stored } = JSON.parse(lines.at(-1) ?? '') as { rows: number; ids: number; stored: string[] }
  assert.ok(acknowledged.size > 200, `only ${acknowledged.size} events were acknowledged`)
  assert.equal(rows, ids)
  const found = new Set(stored)
  assert.deepEqual(
    [...acknowledged].filter((id) => !found.has(id)),
    [],
  )
  await rm(directory, { recursive: true, force: true })
})
