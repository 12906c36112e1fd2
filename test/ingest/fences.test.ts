import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, it } from 'node:test'
import pino from 'pino'
import { Registry } from 'prom-client'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { beginTerm, underTerm } from '../../bus/fence.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import { Fences } from '../../ingest/fences.ts'
import { startSink } from '../../ingest/sink.ts'
import { topics } from '../../schemas/index.ts'
import { until } from '../bus/until.ts'
import * as story from '../store/story.ts'
import { MemoryStore } from './fakes.ts'

let directory: string
let bus: EventBus
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'cordon-fences-'))
  bus = await createEmbeddedBus({ path: directory })
  await bus.ensureTopics(Object.values(topics))
  const lease = (term: number) => underTerm(encode('containments', newEvent('containment', story.containment, 'r', story.start)), term)
  const term = (holder: string) => beginTerm('containments', { role: 'respond', holder, number: null, at: story.start }, holder)
  // 0: the first term. 1, 2: its leases. 3: the second. 4: the first's, who does not know. 5: the second's.
  await bus.publish([term('a'), lease(0), lease(0), term('b'), lease(0), lease(3)])
})
after(async () => {
  await bus.close()
  await rm(directory, { recursive: true, force: true })
})

async function records(): Promise<BusRecord[]> {
  const all: BusRecord[] = []
  for await (const some of bus.read('containments', 0, 0)) all.push(...some)
  return all
}

it('knows what a replaced writer said, wherever a batch begins, and when it comes again', async () => {
  const all = await records()
  for (const [from, until] of [
    [0, 6],
    [1, 3],
    [4, 6],
    [4, 5],
    [5, 6],
  ] as const) {
    const fences = new Fences(bus)
    for (let round = 0; round < 2; round++) {
      const fenced = await fences.fenced('containments', 0, all.slice(from, until))
      assert.deepEqual(
        [...fenced].map(({ offset }) => offset),
        from <= 4 && until > 4 ? [4] : [],
        `${from} to ${until}`,
      )
    }
  }
})

it('stores neither that nor the terms themselves', async () => {
  const store = new MemoryStore()
  const registry = new Registry()
  const sink = await startSink({ bus, store, log: pino({ level: 'silent' }), registry, clock: Date.now, maxWaitMs: 5 })
  await until('all is read', async () => (await bus.groups()).some(({ topic, committed }) => topic === 'containments' && committed === 6))
  await sink.close()
  assert.deepEqual(
    store.rows.get('containments')?.map(({ offset }) => offset),
    [1, 2, 5],
  )
  assert.match(await registry.metrics(), /cordon_sink_fenced_total\{topic="containments"\} 1/)
})
