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
import { fromCommandLine, oneOf } from '../command-line.ts'
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

/** Each with what it measures. */
const summaries = {
  fingerprint: 'fingerprints of inputs and prompts',
  node: 'a node that serves a model itself, against a bare loop',
  ablation: 'a node before an upstream, against no node and a bare proxy, and where its time goes',
  doors: 'what keys, tokens, TLS, policies, limits, audit, redaction and hardening add to a request',
  policy: 'decisions of the policy engine',
  audit: 'writing and verifying the audit trail',
  runtime: 'backends and batches',
  host: 'the detectors in their host, an event',
  bus: 'records in and out',
  sink: 'rows from the bus to ClickHouse',
  response: 'from a finding to its action',
  limits: 'reservations, and with --kafka how far four nodes overspend',
  enforcement: 'from a decision to the refusal of the next request',
  distributed: 'every role a process on three brokers: rates, latencies, and roles killed (with --kafka alone)',
} as const
type SectionName = keyof typeof summaries
const names = Object.keys(summaries) as SectionName[]

const usage = `npm run bench -- [options]

Figures of one machine at one moment: compare the ratios of one run, not single numbers of two.

  --only NAMES   sections, with commas; all of them by default
  --short        a tenth of each
  --kafka        with a real broker too: the one of KAFKA_BROKERS, else in Docker, else with Java and Maven
  --json         one object on one line, and no progress

Sections:
${names.map((name) => `  ${name.padEnd(13)}${summaries[name]}`).join('\n')}`

const flags = fromCommandLine(usage, () => {
  const { values } = parseArgs({
    options: { json: { type: 'boolean' }, short: { type: 'boolean' }, kafka: { type: 'boolean' }, only: { type: 'string' } },
  })
  return { ...values, only: values.only?.split(',').map((name) => oneOf('only', name, names)) ?? names }
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

const sections: Readonly<Record<SectionName, () => Promise<unknown>>> = {
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

const report: Record<string, unknown> = {
  machine: { cpu: cpus()[0]?.model, cores: availableParallelism(), node: process.version },
  kafka: flags.kafka === true ? 'measured' : 'not measured: give --kafka (needs KAFKA_BROKERS, Docker, or Java and Maven)',
}
try {
  for (const name of flags.only) {
    if (flags.json !== true) process.stderr.write(`${name} … `)
    const began = Date.now()
    report[name] = await sections[name]()
    if (flags.json !== true) process.stderr.write(`${((Date.now() - began) / 1_000).toFixed(1)} s\n`)
  }
  console.log(JSON.stringify(report, null, flags.json === true ? undefined : 2))
} finally {
  await (await store)?.close()
  rmSync(root, { recursive: true, force: true })
}
