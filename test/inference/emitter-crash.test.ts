import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, test } from 'node:test'
import { Registry } from 'prom-client'
import { openEmitter } from '../../inference/emitter/emitter.ts'
import { MemoryBus } from './memory-bus.ts'
import { inferBody, silent } from './node-fixture.ts'

let dir: string
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'cordon-crash-'))
})
afterEach(() => rmSync(dir, { recursive: true }))

const itemsInRequest = 2

async function openChild(seed: number): Promise<{ child: ChildProcess; infer: () => Promise<string> }> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'node-child.ts'), dir, String(seed)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  assert.ok(child.stdout !== null)
  const [line] = await once(createInterface(child.stdout), 'line')
  const { port, key } = JSON.parse(String(line)) as { port: number; key: string }
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const send = { method: 'POST', headers, body: JSON.stringify(inferBody(itemsInRequest)) }
  const infer = async () => {
    const reply = await fetch(`http://127.0.0.1:${port}/v2/models/tiny/infer`, send)
    assert.equal(reply.status, 200)
    const { id } = (await reply.json()) as { id: string }
    return id
  }
  return { child, infer }
}

/** Four clients ask until the process is gone; returns the requests that were answered. */
async function loadUntilDead(child: ChildProcess, infer: () => Promise<string>, killAfter: number): Promise<string[]> {
  const answered: string[] = []
  const client = async () => {
    while (child.signalCode === null) {
      const id = await infer().catch(() => undefined)
      if (id === undefined) return
      answered.push(id)
      if (answered.length === killAfter) child.kill('SIGKILL')
    }
  }
  await Promise.all([client(), client(), client(), client()])
  if (child.signalCode === null) await once(child, 'exit')
  return answered
}

test('kill -9 under load: everything that was answered is on the bus or goes there from the spool', async () => {
  const answered: string[] = []
  for (const [round, killAfter] of [37, 150, 401].entries()) {
    const { child, infer } = await openChild(round + 7)
    answered.push(...(await loadUntilDead(child, infer, killAfter)))
    assert.equal(child.signalCode, 'SIGKILL')
  }
  const bus = new MemoryBus()
  const emitter = await openEmitter({ bus, dir: join(dir, 'spool'), clock: Date.now, log: silent, registry: new Registry() })
  await emitter.drain()
  await emitter.close()
  const taken = existsSync(join(dir, 'taken')) ? readFileSync(join(dir, 'taken'), 'utf8').trim().split('\n') : []
  const arrived = [...taken, ...bus.records.map(({ topic, headers }) => `${topic} ${headers.ce_id}`)]
  const requests = new Set(arrived.filter((line) => line.startsWith('requests ')).map((line) => line.split(' ')[1]))
  assert.ok(answered.length >= 588)
  for (const id of answered) assert.ok(requests.has(id), `${id} was answered and not recorded`)
  const fingerprints = new Set(arrived.filter((line) => line.startsWith('fingerprints ')))
  assert.ok(fingerprints.size >= answered.length * itemsInRequest, 'and so are the fingerprints of its items')
  assert.ok(taken.length > 0 && bus.records.length > 0, 'some went out before a crash, and some after')
})
