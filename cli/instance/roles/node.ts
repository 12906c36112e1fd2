import { join } from 'node:path'
import { openKeys } from '../../../access/key-registry.ts'
import { tokenRoutes } from '../../../access/tokens/routes.ts'
import { openView } from '../../../bus/view.ts'
import { configurations } from '../../../inference/configuration.ts'
import { openEmitter } from '../../../inference/emitter/emitter.ts'
import { fingerprintKeyId } from '../../../inference/fingerprint/keystream.ts'
import { openPromptFingerprinter } from '../../../inference/prompt/fingerprint.ts'
import { openRegistry } from '../../../inference/registry.ts'
import { createNode } from '../../../inference/server/node.ts'
import { openTls } from '../../../inference/server/tls.ts'
import { passThrough, type Tracing } from '../../../inference/server/tracing.ts'
import { openTracing } from '../../../inference/telemetry/tracing.ts'
import { risksOf } from '../../../policy/risks.ts'
import type { Instant } from '../../../schemas/index.ts'
import { openNodeTrail } from '../audit.ts'
import { openCallers } from '../callers.ts'
import type { Context } from '../context.ts'
import { openFingerprinters } from '../fingerprinters.ts'
import { meteringOf, openMeter, withLimits } from '../limits.ts'
import { listening } from '../listen.ts'
import { modelsDirOf } from '../models-dir.ts'
import { permissionOf } from '../policy.ts'
import type { NodeSecrets } from '../secrets.ts'
import { openServing } from '../serving.ts'
import { openTokens } from '../tokens.ts'

/** How long a stopping node waits for its events to reach the bus; what is left waits in the spool. */
const drainMs = 5_000

/** The inference node, listening. It reads control topics, and writes nothing but events. */
export async function runNode(context: Context, secrets: NodeSecrets): Promise<{ readonly url: string }> {
  const { config, bus, clock, registry, log, closers, warn } = context
  const { inference, pools } = config
  const modelsDir = modelsDirOf(config)
  const keys = closers.keep('keys', await openKeys({ bus, onError: warn('a key could not be read') }))
  const models = closers.keep('models', await openView(bus, 'models', { onError: warn('a model could not be read') }))
  const containments = closers.keep('lease view', await openView(bus, 'containments', { onError: warn('a lease could not be read') }))
  const present = risksOf(await context.risks())
  const policy = await context.policy()
  const emitter = await openEmitter({ bus, dir: join(config.dataDir, 'spool'), maxBytes: inference.spoolBytes, clock, log, registry })
  closers.add('emitter', async () => {
    await emitter.drain(drainMs)
    await emitter.close()
  })
  const audit = openNodeTrail(context, emitter)
  const issuing = openTokens(config, secrets, keys)
  const declared = await openRegistry(modelsDir)
  const configurationOf = configurations(config.models, secrets.fingerprintKey)
  const { runtime, text } = await openServing(context, modelsDir, declared, configurationOf)
  const meter = await openMeter(context)
  const prices = { perItem: inference.pricePerItem }
  const riskOf = (principal: string, now: Instant) => present.of(principal, now)
  const authenticator = openCallers(context, secrets, { keys, tokens: issuing?.tokens })
  const node = await createNode({
    name: inference.node,
    pools,
    runtime,
    text,
    configurationOf,
    tracing: tracingOf(context, secrets),
    fingerprinterOf: await openFingerprinters(declared, pools, secrets, log),
    prompts: openPromptFingerprinter({ key: secrets.fingerprintKey, epoch: secrets.fingerprintEpoch, now: clock }),
    keys,
    authenticator,
    ...(issuing === undefined ? {} : { moreRoutes: (app) => tokenRoutes(app, { ...issuing, authenticator, keys, clock }) }),
    ...(policy === null ? {} : { permission: permissionOf(policy, configurationOf) }),
    ...(meter === undefined ? {} : { metering: meteringOf(meter, riskOf, { configurationOf, prices }) }),
    ...(audit === undefined ? {} : { audit }),
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
      generateMs: inference.generateMs,
      maxBufferedBytes: inference.maxBufferedBytes,
      maxQueueMs: inference.maxQueueMs,
      minBodyRate: inference.minBodyRate,
      announceMs: inference.announceMs,
      drainMs: inference.drainMs,
    },
    control: { boundMs: inference.controlBoundMs, lost: inference.controlLost },
    addressKey: secrets.addressKey,
    trustedProxies: inference.trustedProxies,
    tls: inference.tls === null ? undefined : closers.keep('tls', await openTls(inference.tls, log)),
    fingerprintKeyId: fingerprintKeyId(secrets.fingerprintKey),
    prices,
  })
  closers.add('node', () => node.close())
  const { url } = await listening('inference', inference, () => node.start(inference))
  await context.heart('node', () => (meter === undefined ? node.pulse() : withLimits(node.pulse(), meter.state())))
  return { url }
}

function tracingOf({ config, clock, registry, log, closers }: Context, { addressKey }: NodeSecrets): Tracing {
  const { inference, pools, telemetry } = config
  const { otlpEndpoint: endpoint, otlpHeaders: headers, sampleRatio, intervalMs, namePrincipals } = telemetry
  if (endpoint === null) return passThrough
  const behind = new Set(pools.flatMap(({ name, upstream }) => (upstream === null ? [] : [name])))
  const tracing = openTracing({
    ...{ endpoint, headers, sampleRatio, intervalMs, namePrincipals, addressKey, clock, registry, log },
    node: inference.node,
    models: pools.flatMap(({ models }) => models),
    forwards: (pool) => behind.has(pool),
  })
  return closers.keep('telemetry', tracing)
}
