import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode, encode, encodeTick } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { replay } from '../../pipeline/replay.ts'
import type { Finding } from '../../schemas/index.ts'
import { epoch, observation, tick } from '../contracts/observations.ts'
import { brittle, burst, hosted, metronome } from './host-toys.ts'
import { type Crash, MemoryBus, MemoryLog } from './memory-bus.ts'
import { until } from './until.ts'

const detectors = [hosted(burst, { limit: 2 }), hosted(metronome, { everyMs: 3_000 }), hosted(brittle)]
const limits = { latenessMs: 2_000, rememberIds: 8 }
const topics = [
  { name: 'requests', partitions: 2 },
  { name: 'findings', partitions: 1 },
  { name: 'dead-letters', partitions: 1 },
  { name: 'snapshots', partitions: 1 },
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
async function live(log: MemoryLog, dies: Crash | null): Promise<{ died: boolean; restored: boolean }> {
  const bus = new MemoryBus(log, dies)
  const host = await startDetectorHost({
    bus,
    detectors,
    topics: ['requests'],
    snapshotEvery: { events: 5, ms: 1e9 },
    maxBatch: 4,
    clock: () => epoch,
    registry: new Registry(),
    log: pino({ level: 'silent' }),
    ...limits,
  })
  await until('both partitions', () => bus.dead || host.state().partitions.length === 2)
  const restored = host.state().partitions.some(({ snapshot, end }) => snapshot.offset > 0 && snapshot.offset < end)
  const done = () => host.state().partitions.length === 2 && host.state().lag === 0
  await until('the end of the log, or death', () => bus.dead || done())
  const life = { died: bus.dead, restored }
  if (bus.dead) await bus.close()
  await host.close()
  await bus.close()
  return life
}

/** What was published, by id and revision; the same one twice must be the same, byte for byte. */
function published(log: MemoryLog): Map<string, unknown> {
  const byId = new Map<string, unknown>()
  for (const record of log.all('findings')) {
    const event = decode(record)
    assert.equal(event.kind, 'finding')
    const { id, revision } = event.data as Finding
    const seen = byId.get(`${id}/${revision}`)
    if (seen !== undefined) assert.deepEqual(event, seen)
    byId.set(`${id}/${revision}`, event)
  }
  return byId
}

describe('detector host, killed anywhere', () => {
  it('finds what an undisturbed run finds', async () => {
    let findings = 0
    let deaths = 0
    let restores = 0
    const property = fc.asyncProperty(
      fc.array(put, { minLength: 40, maxLength: 160, size: 'max' }),
      fc.array(crash, { minLength: 2, maxLength: 5, size: 'max' }),
      async (puts, crashes) => {
        const log = new MemoryLog(topics)
        const bus = new MemoryBus(log)
        await fill(bus, puts)
        const expected = new Map<string, Finding>()
        for await (const finding of replay({ bus, detectors, topics: ['requests'], ...limits })) {
          expected.set(`${finding.id}/${finding.revision}`, finding)
        }
        for (const dies of [...crashes, null]) {
          const { died, restored } = await live(log, dies)
          deaths += died ? 1 : 0
          restores += restored ? 1 : 0
        }
        const found = published(log)
        assert.deepEqual([...found.keys()].sort(), [...expected.keys()].sort())
        for (const [key, event] of found) assert.deepEqual((event as { data: unknown }).data, expected.get(key))
        const buried = new Set(log.all('dead-letters').map((record) => JSON.stringify((decode(record).data as { offset: number }).offset)))
        assert.ok(buried.size <= puts.filter(({ form }) => form === 'corrupt').length)
        findings += expected.size
      },
    )
    await fc.assert(property, { numRuns: 60, seed: 7 })
    const scale = `${findings} findings, ${deaths} deaths, ${restores} lives with a snapshot`
    assert.ok(findings > 1_000 && deaths > 60 && restores > 60, `too few to show anything: ${scale}`)
  })
})
