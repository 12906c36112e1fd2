import { pino } from 'pino'
import { Registry } from 'prom-client'
import { startHeart } from '../../bus/heartbeat.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import { openView } from '../../bus/view.ts'
import { startDetectorHost } from '../../pipeline/host/shell.ts'
import { flowDetectors } from './host-detectors.ts'

/** A process of the role `detect`, for tests to kill and stop: `host-child.ts <brokers> <prefix> <name>`. */
const [brokers = '', prefix = '', instance = ''] = process.argv.slice(2)
const log = pino({ level: process.env['LOG'] ?? 'warn', base: { instance } }, pino.destination({ dest: 2, sync: true }))
const clock = Date.now
const bus = await createKafkaBus({ brokers: brokers.split(','), clientId: instance, prefix, sessionMs: 6_000, log })
const heartbeats = await openView(bus, 'heartbeats')
const registry = new Registry()
const host = await startDetectorHost({
  bus,
  detectors: flowDetectors,
  topics: ['flows'],
  snapshotEvery: { events: 20_000, ms: 20_000 },
  clock,
  registry,
  log,
  instance,
  source: instance,
  standby: { afterMs: 2_000 },
  neighbours: () => [...heartbeats.values()],
})
let last = performance.now()
let stallMs = 0
setInterval(() => {
  stallMs = Math.max(stallMs, performance.now() - last - 10)
  last = performance.now()
}, 10).unref()
await startHeart({
  bus,
  clock,
  log,
  role: 'detect',
  instance,
  version: '0',
  everyMs: 1_000,
  pulse: () => {
    const { user, system } = process.cpuUsage()
    const detail = { cpuMs: (user + system) / 1_000, stallMs, keys: host.state().keys }
    stallMs = 0
    return { ok: true, summary: '', assignments: [...host.assignments()], snapshotAgeMs: host.state().oldestSnapshotMs, detail }
  },
})
