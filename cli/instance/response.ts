import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { parse } from 'yaml'
import type { KeyRegistry } from '../../access/key-registry.ts'
import type { EventBus } from '../../bus/port.ts'
import type { View } from '../../bus/view.ts'
import { watchInventory } from '../../pipeline/response/inventory.ts'
import { type LeaseKeeper, openLeases } from '../../pipeline/response/lease-keeper.ts'
import { modelsOf } from '../../pipeline/response/models.ts'
import { type ResponseWorker, startResponseWorker } from '../../pipeline/response-worker.ts'
import { GuardOptions } from '../../responders/guard/guard.ts'
import { type Playbook, parsePlaybook } from '../../responders/playbooks/playbook.ts'
import { responders } from '../../responders/registry.ts'
import type { Instant, Model } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import type { Closers } from './closers.ts'

export interface ResponseParts {
  readonly config: Config
  readonly bus: EventBus
  readonly keys: KeyRegistry
  readonly models: View<Model>
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  readonly source: string
}

/** Leases, and the worker that turns findings into them. */
export async function startResponse(parts: ResponseParts, closers: Closers): Promise<{ leases: LeaseKeeper; worker: ResponseWorker }> {
  const { config, bus, keys, models, clock, registry, log, source } = parts
  const pools = new Map(config.pools.map((pool) => [pool.name, pool.models]))
  const inventory = await watchInventory({ bus, clock, log, pools: () => pools })
  closers.add('inventory', () => inventory.close())
  const leases = await openLeases({ bus, clock, source, responders, log })
  closers.add('leases', () => leases.close())
  const worker = await startResponseWorker({
    bus,
    responders,
    playbook: readPlaybook(config.response.playbook),
    guard: GuardOptions.parse({ mode: config.response.mode, protected: config.response.protected }),
    ports: { leases, keys, models: modelsOf(models) },
    inventory: inventory.current,
    clock,
    registry,
    log,
    source,
  })
  closers.add('responders', () => worker.close())
  return { leases, worker }
}

export function readPlaybook(file: string | null): Playbook {
  const place = file ?? new URL('../../deploy/playbooks/default.yaml', import.meta.url)
  let document: unknown
  try {
    document = parse(readFileSync(place, 'utf8'), { maxAliasCount: 10 })
  } catch (cause) {
    throw new CliError('CONFIG_INVALID', `response.playbook: reading ${file ?? 'the default playbook'}: ${(cause as Error).message}`, {
      cause,
    })
  }
  return parsePlaybook(document, responders)
}
