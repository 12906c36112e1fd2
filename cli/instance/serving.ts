import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { PoolConfiguration, ServedConfiguration } from '../../inference/configuration.ts'
import { openLanguage } from '../../inference/language/open.ts'
import { PooledTensorRuntime, PooledTextRuntime } from '../../inference/pooled.ts'
import type { TensorRuntime, TextRuntime } from '../../inference/port.ts'
import type { ModelRegistry } from '../../inference/registry.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import { openOipUpstream } from '../../inference/upstream/oip.ts'
import { openOpenaiUpstream } from '../../inference/upstream/openai.ts'
import { CliError } from '../errors.ts'
import type { Context } from './context.ts'

export interface Serving {
  readonly runtime: TensorRuntime
  readonly text: TextRuntime
}

/** What runs the models of each pool: this process's own runtime, or what stands behind the node. Closed with the context. */
export async function openServing(
  context: Pick<Context, 'config' | 'clock' | 'closers' | 'registry' | 'log'>,
  modelsDir: string,
  registry: ModelRegistry,
  configurationOf: (model: string) => ServedConfiguration,
): Promise<Serving> {
  const { config, clock, closers } = context
  const { pools } = config
  const tensors = new Map<string, TensorRuntime>()
  const texts = new Map<string, TextRuntime>()
  const own = pools.filter(({ upstream }) => upstream === null)
  if (own.length > 0) {
    const { backend, maxQueueItems, maxModelBytes, maxRunMs } = config.inference
    const { registry: metrics, log } = context
    const options = { modelsDir, pools: own, backend, maxQueueItems, maxModelBytes, maxRunMs, configurationOf, registry: metrics, log }
    const runtime = closers.keep('runtime', await openRuntime(options))
    const language = closers.keep('language models', openLanguage({ runtime, pools: own, clock, newId: randomUUID, random: Math.random }))
    for (const { name } of own) {
      tensors.set(name, runtime)
      texts.set(name, language)
    }
  }
  for (const pool of pools) {
    if (pool.upstream?.protocol === 'oip')
      tensors.set(pool.name, closers.keep(`pool ${pool.name}`, await openOipUpstream(behind(context, pool, registry))))
    if (pool.upstream?.protocol === 'openai')
      texts.set(pool.name, closers.keep(`pool ${pool.name}`, await openOpenaiUpstream(behind(context, pool, registry))))
  }
  return { runtime: new PooledTensorRuntime(tensors), text: new PooledTextRuntime(texts) }
}

function behind(
  { log, clock, registry: metrics }: Pick<Context, 'clock' | 'registry' | 'log'>,
  pool: PoolConfiguration,
  registry: ModelRegistry,
) {
  const { tokenFile = null, caFile = null } = pool.upstream ?? {}
  const token = tokenFile === null ? null : fileOf(pool, 'tokenFile', tokenFile).trim()
  const ca = caFile === null ? null : fileOf(pool, 'caFile', caFile)
  return { pool, registry, token, ca, clock, log, metrics }
}

function fileOf({ name }: PoolConfiguration, setting: string, path: string): string {
  const refuse = (why: string, cause?: unknown) => new CliError('CONFIG_INVALID', `pools: ${setting} of ${name} ${why}: ${path}`, { cause })
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (cause) {
    throw refuse('cannot be read; is it there, and ours to read?', cause)
  }
  if (text.trim() === '') throw refuse('is an empty file')
  return text
}
