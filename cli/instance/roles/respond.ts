import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import { openKeys } from '../../../access/key-registry.ts'
import { openKeyWriter } from '../../../access/key-writer.ts'
import { openView } from '../../../bus/view.ts'
import { announceModels } from '../../../pipeline/response/announcer.ts'
import { Charge } from '../../../pipeline/response/charge.ts'
import { forgetInstances } from '../../../pipeline/response/forgetting.ts'
import { watchInventory } from '../../../pipeline/response/inventory.ts'
import { openLeases } from '../../../pipeline/response/lease-keeper.ts'
import { modelsOf } from '../../../pipeline/response/models.ts'
import { startResponseWorker } from '../../../pipeline/response-worker.ts'
import { GuardOptions } from '../../../responders/guard/guard.ts'
import { type Playbook, parsePlaybook } from '../../../responders/playbooks/playbook.ts'
import { responders } from '../../../responders/registry.ts'
import { CliError } from '../../errors.ts'
import { openOrdersTrail } from '../audit.ts'
import type { Context } from '../context.ts'
import { openShares } from '../limits.ts'

/** The control plane: it alone writes control topics. One process of the role is in charge, others stand by. */
export async function runRespond(context: Context): Promise<void> {
  const { config, bus, clock, registry, log, closers, instance, warn } = context
  const source = instance
  const charge = closers.keep('charge', await Charge.open({ bus, clock, holder: instance, log }))
  const registryOfKeys = closers.keep('keys', await openKeys({ bus, onError: warn('a key could not be read') }))
  const keys = closers.keep('key writer', openKeyWriter({ keys: registryOfKeys, charge, clock, source }))
  const models = closers.keep('models', await openView(bus, 'models', { onError: warn('a model could not be read') }))
  const pools = new Map(config.pools.map((pool) => [pool.name, pool.models]))
  const inventory = closers.keep('inventory', await watchInventory({ bus, clock, log, pools: () => pools }))
  const leases = closers.keep('leases', await openLeases({ bus, charge, clock, source, responders, log }))
  const limits = await openShares(context, charge)
  const announcing = { charge, heartbeats: await context.heartbeats(), models, clock, log, source }
  const announcer = closers.keep('model announcer', announceModels(announcing))
  const audit = await openOrdersTrail(context)
  const worker = await startResponseWorker({
    bus,
    audit,
    charge,
    responders,
    playbook: readPlaybook(config.response.playbook),
    guard: GuardOptions.parse({ mode: config.response.mode, protected: config.response.protected }),
    ports: { leases, keys, models: modelsOf(models) },
    models: announcer,
    inventory: inventory.current,
    clock,
    registry,
    log,
    source,
  })
  closers.keep('responders', worker)
  const heartbeats = await context.heartbeats()
  closers.keep('forgetting', forgetInstances({ bus, heartbeats, clock, log, inCharge: () => worker.state().inCharge }))
  await context.heart('respond', () => {
    const { trouble, inCharge, incidents, leases: held, waiting, assignments } = worker.state()
    const work = inCharge ? `in charge: ${incidents} incidents, ${held} leases, ${waiting} actions wait for a person` : 'standing by'
    return {
      ok: trouble === null,
      summary: (trouble?.message ?? work).slice(0, 2_000),
      assignments: [...assignments],
      detail: { inCharge, incidents, leases: held, waiting, ...(limits === undefined ? {} : { limitWindows: limits.buckets() }) },
    }
  })
}

/** @throws CliError `CONFIG_INVALID`; ResponderError for a playbook that does not parse */
export function readPlaybook(file: string | null): Playbook {
  const place = file ?? new URL('../../../deploy/playbooks/default.yaml', import.meta.url)
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
