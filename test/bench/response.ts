import { pino } from 'pino'
import { Registry } from 'prom-client'
import { openKeys } from '../../access/key-registry.ts'
import { openKeyWriter } from '../../access/key-writer.ts'
import { encode, newEvent } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView } from '../../bus/view.ts'
import { Charge } from '../../pipeline/response/charge.ts'
import { openLeases } from '../../pipeline/response/lease-keeper.ts'
import { startResponseWorker } from '../../pipeline/response-worker.ts'
import { GuardOptions } from '../../responders/guard/guard.ts'
import type { Playbook } from '../../responders/playbooks/playbook.ts'
import { responders } from '../../responders/registry.ts'
import { topics } from '../../schemas/index.ts'
import { finding, hash } from '../responders/given.ts'
import { quantile } from './quantile.ts'

export interface ResponseBenchOptions {
  /** Findings one after the other, each about somebody new. Default 500. */
  readonly probes?: number
  /** Findings published at once. Default 1,000. */
  readonly burst?: number
}

export interface ResponseBenchResult {
  /** From publishing a finding to its first lease in another reader's view of `containments`, with nothing else going on. */
  readonly findingToContainmentMs: { readonly p50: number; readonly p99: number }
  /** Findings about different principals handled a second, each with two leases, an incident and two actions made durable. */
  readonly findingsPerSecond: number
}

/** Measures the response worker on a bus whose topics are otherwise empty. */
export async function benchResponse(bus: EventBus, playbook: Playbook, options: ResponseBenchOptions = {}): Promise<ResponseBenchResult> {
  const { probes = 500, burst = 1_000 } = options
  await bus.ensureTopics(Object.values(topics))
  const log = pino({ level: 'silent' })
  const clock = Date.now
  const charge = await Charge.open({ bus, clock, holder: 'bench', log })
  const keeper = await openLeases({ bus, charge, clock, source: 'respond', responders, log })
  const registry = await openKeys({ bus })
  const keys = openKeyWriter({ keys: registry, charge, clock, source: 'respond' })
  const worker = await startResponseWorker({
    bus,
    charge,
    responders,
    playbook,
    guard: GuardOptions.parse({ floor: 1_000_000, maxActionsPerMinute: 1_000_000 }),
    ports: { leases: keeper, keys, models: { lastGood: async () => null } },
    models: { promote: () => Promise.reject(new Error('nobody promotes here')) },
    inventory: () => ({ activePrincipals: 0, pools: new Map() }),
    clock,
    registry: new Registry(),
    log,
    source: 'respond',
  })
  const seen = await watchContained(bus)
  const times: number[] = []
  for (let i = 0; i < probes; i++) {
    const name = `probe-${i}`
    const contained = seen.next(name)
    const from = performance.now()
    await publish(bus, [name])
    times.push((await contained) - from)
  }
  const names = Array.from({ length: burst }, (_, i) => `burst-${i}`)
  const all = Promise.all(names.map((name) => seen.next(name)))
  const from = performance.now()
  await publish(bus, names)
  await all
  const findingsPerSecond = Math.round((burst / (performance.now() - from)) * 1_000)
  await seen.close()
  await worker.close()
  await keeper.close()
  await registry.close()
  await charge.close()
  return { findingToContainmentMs: { p50: rounded(quantile(times, 0.5)), p99: rounded(quantile(times, 0.99)) }, findingsPerSecond }
}

/** Tells when a principal's first lease can be read. */
async function watchContained(bus: EventBus) {
  const waiting = new Map<string, (at: number) => void>()
  const view = await openView(bus, 'containments')
  view.onChange((_id, lease) => {
    const name = lease?.target.slice('principal:'.length) ?? ''
    waiting.get(name)?.(performance.now())
    waiting.delete(name)
  })
  return { next: (name: string) => new Promise<number>((resolve) => waiting.set(name, resolve)), close: () => view.close() }
}

async function publish(bus: EventBus, names: readonly string[]): Promise<void> {
  const now = Date.now()
  const findings = names.map((name) => finding({ id: hash(name), principals: [name], time: now }))
  await bus.publish(findings.map((given) => encode('findings', newEvent('finding', given, 'detect', now))))
}

/** Milliseconds with two decimals. */
function rounded(ms: number): number {
  return Math.round(ms * 100) / 100
}
