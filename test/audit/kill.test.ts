import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { test } from 'node:test'
import { Registry } from 'prom-client'
import { decode } from '../../bus/codec.ts'
import { openEmitter } from '../../inference/emitter/emitter.ts'
import type { CordonEvent } from '../../schemas/index.ts'
import { seeded } from '../attacks/random.ts'
import { MemoryBus } from '../inference/memory-bus.ts'
import { exported, openKept, silent, temporaryDir, verifyLines } from './fixture.ts'

const script = new URL('./killed-writer.ts', import.meta.url).pathname

/** Runs the writer until it said so many numbers, kills it then and there, and returns what it said. */
async function killAfter(dir: string, first: number, numbers: number): Promise<number[]> {
  const child = spawn(process.execPath, [script, dir, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  await new Promise<void>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', (piece: string) => {
      text += piece
      if (text.split('\n').length > numbers) child.kill('SIGKILL')
    })
    child.on('error', reject).on('close', () => resolve())
  })
  return text.split('\n').slice(0, -1).map(Number)
}

test('a trail is whole, and has everything that was answered, however often its writer is killed', { timeout: 60_000 }, async (t) => {
  const dir = temporaryDir(t)
  const random = seeded(11)
  const said: number[] = []
  for (let kill = 0; kill < 5; kill++) {
    const numbers = await killAfter(dir, 1_000 * kill + 1, 1 + random.below(40))
    assert.ok(numbers.length > 0)
    said.push(...numbers)
  }
  const bus = new MemoryBus()
  const emitter = await openEmitter({ bus, dir: join(dir, 'spool'), clock: Date.now, log: silent, registry: new Registry() })
  await emitter.drain()
  await emitter.close()
  const last = openKept(join(dir, 'audit'))
  last.trail.close()
  const spooled = bus.of('audit').map((record, offset) => decode({ ...record, partition: 0, offset }) as CordonEvent<'audit'>)
  const lines = exported([...spooled, ...last.events])
  const verdict = await verifyLines(lines, { keys: [last.trail.state().publicKey] })
  assert.deepEqual([verdict.problems, verdict.logs.length, verdict.unsigned], [[], 1, 0])
  const kept = new Set(lines.flatMap((line) => /"kind":"entry".*"tokensIn":(\d+)/.exec(line)?.[1] ?? []).map(Number))
  assert.deepEqual(
    said.filter((number) => !kept.has(number)),
    [],
  )
  const reasons = lines.flatMap((line) => /"reason":"([\w-]+)"/.exec(line)?.[1] ?? [])
  assert.deepEqual(reasons, ['new', ...Array(5).fill('recovered')])
})
