import { randomUUID } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { PoolConfiguration } from '../../../inference/configuration.ts'
import { PooledTensorRuntime, PooledTextRuntime } from '../../../inference/pooled.ts'
import type { TensorRuntime, TextRuntime } from '../../../inference/port.ts'
import { openRegistry } from '../../../inference/registry.ts'
import { openOipUpstream } from '../../../inference/upstream/oip.ts'
import { openOpenaiUpstream } from '../../../inference/upstream/openai.ts'
import { chatModel } from './answers.ts'

export const modelsDir = fileURLToPath(new URL('../../../inference/models/', import.meta.url))
const log = pino({ level: 'silent' })
const concurrency = 4_096

export interface Served {
  readonly pools: readonly PoolConfiguration[]
  readonly runtime: TensorRuntime
  readonly text: TextRuntime
  /** Language models that run here. */
  readonly languages: readonly string[]
}

/**
 * The runtimes of a node as the command wires them.
 *
 * @param upstream port of what serves digits and chats; null for none
 * @param local whether every model of the repository is served here too
 */
export async function openRuntimes(upstream: number | null, local: boolean): Promise<Served> {
  const pools: PoolConfiguration[] = []
  const tensors = new Map<string, TensorRuntime>()
  const texts = new Map<string, TextRuntime>()
  if (upstream !== null) {
    const [oip, openai] = [poolOf('oip', 'digits', upstream), poolOf('openai', chatModel, upstream)]
    const rest = { token: null, ca: null, clock: Date.now, log, metrics: new Registry() }
    tensors.set(oip.name, await openOipUpstream({ ...rest, pool: oip }))
    texts.set(openai.name, await openOpenaiUpstream({ ...rest, pool: openai }))
    pools.push(oip, openai)
  }
  const own = local ? await openLocal() : undefined
  if (own !== undefined) {
    pools.push(own.pool)
    tensors.set(own.pool.name, own.runtime)
    texts.set(own.pool.name, own.text)
  }
  const runtime = new PooledTensorRuntime(tensors)
  return { pools, runtime, text: new PooledTextRuntime(texts), languages: own?.text.list().map(({ name }) => name) ?? [] }
}

function poolOf(protocol: 'oip' | 'openai', model: string, port: number): PoolConfiguration {
  const upstream = { protocol, endpoints: [`http://127.0.0.1:${port}`], maxConnections: 128 }
  return PoolConfiguration.parse({ name: protocol, models: [model], concurrency, upstream })
}

/** Loads no TensorFlow unless it is called. */
async function openLocal() {
  const { openRuntime } = await import('../../../inference/runtime/open.ts')
  const { openLanguage } = await import('../../../inference/language/open.ts')
  const models = [...new Set((await openRegistry(modelsDir)).list().map(({ name }) => name))]
  const pool = PoolConfiguration.parse({ name: 'local', models, concurrency })
  const runtime = await openRuntime({ modelsDir, pools: [pool], maxQueueItems: concurrency, registry: new Registry(), log })
  const text = openLanguage({ runtime, pools: [pool], clock: Date.now, newId: randomUUID, random: Math.random })
  return { pool, runtime, text }
}
