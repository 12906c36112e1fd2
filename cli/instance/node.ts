import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { KeyRegistry } from '../../access/key-registry.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView, type View } from '../../bus/view.ts'
import { openEmitter } from '../../inference/emitter/emitter.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { createNode, type InferenceNode } from '../../inference/server/node.ts'
import type { Instant, Model } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import type { Closers } from './closers.ts'
import { openFingerprinters } from './fingerprinters.ts'
import { listening } from './listen.ts'
import { announceModels } from './models.ts'
import type { Secrets } from './secrets.ts'

export interface NodeParts {
  readonly config: Config
  readonly bus: EventBus
  readonly keys: KeyRegistry
  readonly models: View<Model>
  readonly secrets: Secrets
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  readonly modelsDir: string
}

/** How long a stopping node waits for its events to reach the bus; what is left waits in the spool. */
const drainMs = 5_000

/** The inference node, listening. */
export async function startNode(parts: NodeParts, closers: Closers): Promise<InferenceNode & { readonly url: string }> {
  const { config, bus, keys, models, secrets, clock, registry, log, modelsDir } = parts
  const { inference, pools } = config
  const emitter = await openEmitter({ bus, dir: join(config.dataDir, 'spool'), maxBytes: inference.spoolBytes, clock, log, registry })
  closers.add('emitter', async () => {
    await emitter.drain(drainMs)
    await emitter.close()
  })
  const { backend, maxQueueItems } = inference
  const runtime = await openRuntime({ modelsDir, pools, backend, maxQueueItems, registry, log })
  closers.add('runtime', () => runtime.close())
  await announceModels(bus, models, runtime.list(), inference.node, clock())
  const containments = await openView(bus, 'containments', { onError: (err) => log.warn({ err }, 'a lease could not be read') })
  closers.add('lease view', () => containments.close())
  const node = await createNode({
    name: inference.node,
    pools,
    runtime,
    fingerprinterOf: await openFingerprinters(modelsDir, runtime.list(), secrets, log),
    keys,
    containments,
    models,
    emitter,
    clock,
    registry,
    log,
    limits: {
      maxItems: inference.maxItems,
      maxBodyBytes: inference.maxBodyBytes,
      ordinary: inference.limit,
      telemetryMs: inference.telemetryMs,
    },
    addressKey: secrets.addressKey,
    prices: { perItem: inference.pricePerItem },
  })
  closers.add('node', () => node.close())
  const { url } = await listening('inference', inference, () => node.start(inference))
  return { ...node, url }
}
