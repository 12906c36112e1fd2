// npm run bench [-- --json] [--short] [--kafka] [--only node,bus,…]
// Figures of one machine at one moment: compare the ratios of one run, not single numbers of two.
import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { pino } from 'pino'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { readPlaybook } from '../../cli/instance/roles/respond.ts'
import { openStore, type Store } from '../../store/store.ts'
import { startBroker } from '../kafka/broker.ts'
import { benchAblation } from './ablation.ts'
import { benchAudit } from './audit.ts'
import { benchBus } from './bus.ts'
import { benchDistributed } from './distributed.ts'
import { benchDoors } from './doors.ts'
import { benchEnforcement } from './enforcement.ts'
import { benchFingerprint } from './fingerprint.ts'
import { benchHost } from './host.ts'
import { benchLimits } from './limits.ts'
import { benchLimitNodes } from './limits-nodes.ts'
import { benchNode } from './node.ts'
import { benchPolicy } from './policy.ts'
import { benchResponse } from './response.ts'
import { benchRuntime } from './runtime.ts'
import { benchSink } from './sink.ts'

const { values: flags } = parseArgs({
  options: { json: { type: 'boolean' }, short: { type: 'boolean' }, kafka: { type: 'boolean' }, only: { type: 'string' } },
})
const short = flags.short === true
// Each process that a section starts is ended with this one.
process.setMaxListeners(100)
const scale = (long: number) => (short ? Math.ceil(long / 10) : long)
const root = mkdtempSync(join(tmpdir(), 'cordon-bench-'))
const log = pino({ level: 'silent' })
let place = 0

async function onEmbedded<T>(use: (bus: EventBus) => Promise<T>): Promise<T> {
  const bus = await createEmbeddedBus({ path: join(root, `log-${place++}`) })
  try {
    return await use(bus)
  } finally {
    await bus.close()
  }
}

async function onKafka<T>(use: (bus: EventBus) => Promise<T>): Promise<T> {
  const broker = await startBroker()
  const bus = await createKafkaBus({ brokers: broker.brokers, clientId: 'bench', prefix: `bench-${process.pid}-${place++}.`, log })
  try {
    return await use(bus)
  } finally {
    await bus.close()
    await broker.stop()
  }
}

let store: Promise<Store> | undefined
/** One engine a process: a database for each use. */
function openBenchStore(): Promise<Store> {
  store ??= openStore({ path: join(root, 'store'), log })
  return store
}

const sections: Readonly<Record<string, () => Promise<unknown>>> = {
  fingerprint: async () => benchFingerprint(scale(10_000)),
  node: () => benchNode(short ? { roundMs: 500, rounds: 2 } : {}),
  ablation: () => benchAblation(short),
  doors: () => benchDoors(short),
  policy: async () => benchPolicy(scale(400)),
  audit: () => benchAudit(scale(1_000_000)),
  runtime: () => benchRuntime(),
  host: () => benchHost({ events: scale(20_000) }),
  bus: async () => ({
    embedded: await onEmbedded((bus) => benchBus(bus, { records: scale(100_000), probes: scale(500) })),
    ...(flags.kafka === true ? { kafka: await onKafka((bus) => benchBus(bus, { records: scale(100_000), probes: scale(500) })) } : {}),
  }),
  sink: async () => ({
    embedded: await onEmbedded(async (bus) => benchSink(bus, await openBenchStore(), { rows: scale(200_000) })),
    ...(flags.kafka === true
      ? { kafka: await onKafka(async (bus) => benchSink(bus, await openBenchStore(), { rows: scale(200_000) })) }
      : {}),
  }),
  response: () => onEmbedded((bus) => benchResponse(bus, readPlaybook(null), { probes: scale(500), burst: scale(1_000) })),
  limits: async () => ({ ...benchLimits(scale(200_000)), processes: flags.kafka === true ? await benchLimitNodes(short) : null }),
  enforcement: () => benchEnforcement(short ? 15 : 30),
  distributed: async () => (flags.kafka === true ? benchDistributed(short) : null),
}

const chosen = flags.only?.split(',') ?? Object.keys(sections)
const report: Record<string, unknown> = {
  machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
  kafka: flags.kafka === true ? 'measured' : 'not measured: give --kafka (needs KAFKA_BROKERS, Docker, or Java and Maven)',
}
try {
  for (const name of chosen) {
    const section = sections[name]
    if (section === undefined) throw new Error(`no section ${name}; there are ${Object.keys(sections).join(', ')}`)
    if (flags.json !== true) process.stderr.write(`${name} … `)
    const began = Date.now()
    report[name] = await section()
    if (flags.json !== true) process.stderr.write(`${((Date.now() - began) / 1_000).toFixed(1)} s\n`)
  }
  console.log(JSON.stringify(report, null, flags.json === true ? undefined : 2))
} finally {
  await (await store)?.close()
  rmSync(root, { recursive: true, force: true })
}
