import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode, encode, encodeTick } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { replay } from '../../pipeline/replay.ts'
import type { DeadLetter, EventOf, Finding } from '../../schemas/index.ts'
import { epoch, observation, tick } from '../contracts/observations.ts'
import { brittle, burst, hosted, metronome } from './host-toys.ts'
import { MemoryBus, MemoryLog } from './memory-bus.ts'
import { type Crash, MortalBus } from './mortal-bus.ts'
import { until } from './until.ts'

const detectors = [hosted(burst, { limit: 2 }), hosted(metronome, { everyMs: 3_000 }), hosted(brittle)]
const limits = { latenessMs: 2_000, aheadMs: 60_000, rememberIds: 8 }
const topics: readonly { name: string; partitions: number; retentionMs?: null }[] = [
  { name: 'requests', partitions: 2 },
  { name: 'findings', partitions: 1 },
  { name: 'dead-letters', partitions: 1 },
  { name: 'snapshots', partitions: 1, retentionMs: null },
]

interface Put {
  readonly principal: number
  readonly gapMs: number
  readonly form: 'event' | 'late' | 'again' | 'corrupt' | 'unlucky' | 'tick'
}

const put: fc.Arbitrary<Put> = fc.record({
  principal: fc.nat({ max: 5 }),
  gapMs: fc.oneof({ weight: 8, arbitrary: fc.nat({ max: 2_000 }) }, { weight: 1, arbitrary: fc.nat({ max: 90_000 }) }),
  form: fc.oneof(
    { weight: 10, arbitrary: fc.constant('event' as const) },
    { weight: 3, arbitrary: fc.constantFrom('late' as const, 'again' as const, 'corrupt' as const, 'unlucky' as const, 'tick' as const) },
  ),
})

const crash: fc.Arbitrary<Crash> = fc.record({ at: fc.nat({ max: 20 }), when: fc.constantFrom('before', 'after', 'during', 'refused') })

async function fill(bus: EventBus, puts: readonly Put[]): Promise<void> {
  let now = epoch
  let last = encode('requests', observation('request', 0, now))
  for (const [n, { principal, gapMs, form }] of puts.entries()) {
    now += gapMs
    const time = form === 'late' ? Math.max(epoch, now - 10_000) : now
    const items = form === 'unlucky' ? 13 : 1
    if (form === 'tick') await bus.publish([encodeTick('requests', principal % 2, tick(n, now))])
    else if (form === 'corrupt') await bus.publish([{ ...last, value: Buffer.from('{') }])
    else {
      if (form !== 'again') last = encode('requests', observation('request', n, time, { principal: `p${principal}`, items }))
      await bus.publish([last])
    }
  }
}

/** One life of the host: to the end of the log, or to its death. */
async function live(inner: EventBus, dies: Crash | null): Promise<{ died: boolean; restored: boolean }> {
  const bus = new MortalBus(inner, dies)
  const host = await startDetectorHost({
    bus,
    detectors,
    topics: ['requests'],
    snapshotEvery: { events: 5, ms: 1e9 },
    maxBatch: 4,
    tickMs: 1,
    clock: () => epoch,
    registry: new Registry(),
    log: pino({ level: 'silent' }),
    ...limits,
  })
  await until('both partitions', () => bus.dead || host.state().partitions.length === 2)
  const restored = host.state().partitions.some(({ snapshot, end }) => snapshot.offset > 0 && snapshot.offset < end)
  await until('the end of the log, or death', () => bus.dead || host.state().lag === 0)
  const died = bus.dead
  await host.close()
  return { died, restored }
}

async function records(bus: EventBus, topic: string): Promise<BusRecord[]> {
  const all: BusRecord[] = []
  for (const { partition, start } of await bus.partitions(topic)) {
    for await (const some of bus.read(topic, partition, start)) all.push(...some)
  }
  return all
}

/** What was published, by id and revision; the same one twice must be the same, to the last field. */
async function published(bus: EventBus): Promise<Map<string, Finding>> {
  const events = new Map<string, EventOf<'finding'>>()
  for (const record of await records(bus, 'findings')) {
    const event = decode(record)
    if (event.kind !== 'finding') throw new Error(`a ${event.kind} among the findings`)
    const name = `${event.data.id}/${event.data.revision}`
    assert.deepEqual(event, events.get(name) ?? event)
    events.set(name, event)
  }
  return new Map([...events].map(([name, { data }]) => [name, data]))
}

async function undisturbed(bus: EventBus): Promise<Map<string, Finding>> {
  const findings = new Map<string, Finding>()
  for await (const finding of replay({ bus, detectors, topics: ['requests'], ...limits }))
    findings.set(`${finding.id}/${finding.revision}`, finding)
  return findings
}

function sorted(findings: Map<string, Finding>): [string, Finding][] {
  return [...findings].sort(([a], [b]) => (a < b ? -1 : 1))
}

interface Scale {
  findings: number
  deaths: number
  restores: number
}

async function lives(bus: EventBus, puts: readonly Put[], crashes: readonly Crash[], scale: Scale): Promise<void> {
  await fill(bus, puts)
  const expected = await undisturbed(bus)
  for (const dies of [...crashes, null]) {
    const { died, restored } = await live(bus, dies)
    scale.deaths += died ? 1 : 0
    scale.restores += restored ? 1 : 0
  }
  assert.deepEqual(sorted(await published(bus)), sorted(expected))
  const corrupt = (await records(bus, 'requests'))
    .filter(({ value }) => value?.length === 1)
    .map(({ partition, offset }) => `${partition}/${offset}`)
  const letters = (await records(bus, 'dead-letters')).map((record) => decode(record).data as DeadLetter)
  assert.deepEqual([...new Set(letters.map(({ partition, offset }) => `${partition}/${offset}`))].sort(), corrupt.sort())
  scale.findings += expected.size
}

const puts = fc.array(put, { minLength: 40, maxLength: 160, size: 'max' })
const crashes = fc.array(crash, { minLength: 2, maxLength: 5, size: 'max' })

describe('detector host, killed anywhere, finds what an undisturbed run finds', () => {
  it('in memory', async () => {
    const scale: Scale = { findings: 0, deaths: 0, restores: 0 }
    const property = fc.asyncProperty(puts, crashes, (puts, crashes) => lives(new MemoryBus(new MemoryLog(topics)), puts, crashes, scale))
    await fc.assert(property, { numRuns: 50, seed: 7 })
    const { findings, deaths, restores } = scale
    assert.ok(findings > 2_000 && deaths > 40 && restores > 30, `too few to show anything: ${JSON.stringify(scale)}`)
  })

  it('on the embedded log', async () => {
    const scale: Scale = { findings: 0, deaths: 0, restores: 0 }
    const property = fc.asyncProperty(puts, crashes, async (puts, crashes) => {
      const path = mkdtempSync(join(tmpdir(), 'cordon-host-'))
      const bus = await createEmbeddedBus({ path })
      try {
        await bus.ensureTopics(topics.map((topic) => ({ retentionMs: 1e12, ...topic })))
        await lives(bus, puts, crashes, scale)
      } finally {
        await bus.close()
        rmSync(path, { recursive: true })
      }
    })
    await fc.assert(property, { numRuns: 5, seed: 11 })
    assert.ok(scale.deaths >= 5, `too few to show anything: ${JSON.stringify(scale)}`)
  })
})
