import { InferenceError } from '../errors.ts'
import type { TensorRuntime } from '../port.ts'
import { type ModelRegistry, openRegistry } from '../registry.ts'
import { defaults, type RuntimeOptions } from './options.ts'
import { refuseTooLarge, Slot } from './residency.ts'
import { ModelThread } from './thread.ts'
import { ThreadedRuntime } from './threaded.ts'

export type { RuntimeOptions } from './options.ts'

/**
 * Opens the models that pools name, one thread a pool: versions verified, built, and run with one item and with a full batch, so
 * that no first request pays for it; the newest first, as far as memory goes, and the others when they are first asked for.
 *
 * Throws `MODEL_NOT_FOUND`, `MODEL_CORRUPT`, `BACKEND_UNAVAILABLE`.
 */
export async function openRuntime(options: RuntimeOptions): Promise<TensorRuntime> {
  // Before any thread: an addon reads the process's environment, of which a thread has a copy.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '2'
  const models = await openRegistry(options.modelsDir)
  const slots = slotsOf(options.pools, models)
  refuseTooLarge(slots, options.maxModelBytes ?? Number.POSITIVE_INFINITY)
  const threads = await openThreads(options)
  const runtime = new ThreadedRuntime(options, slots, threads)
  try {
    await runtime.start()
    return runtime
  } catch (error) {
    await runtime.close()
    throw error
  }
}

/** One for each version of each model of each pool. What runs elsewhere has none. */
function slotsOf(pools: RuntimeOptions['pools'], models: ModelRegistry): Slot[] {
  return pools.flatMap((pool) =>
    [...new Set(pool.models)].flatMap((name) => {
      const infos = models.list().filter((info) => info.name === name && info.platform !== 'upstream')
      if (infos.length > 0) return infos.map((info) => new Slot(pool.name, info, models.weightBytes(name, info.version)))
      throw new InferenceError('MODEL_NOT_FOUND', `The pool ${pool.name} names the model ${name}, which is not in the models directory`)
    }),
  )
}

/** The first one chooses the backend, the others follow. */
async function openThreads({
  pools,
  backend = 'auto',
  maxRunMs = defaults.maxRunMs,
  log,
}: RuntimeOptions): Promise<ReadonlyMap<string, ModelThread>> {
  const threads = new Map<string, ModelThread>()
  const names = pools.filter(({ models }) => models.length > 0).map(({ name }) => name)
  const [first, ...others] = names
  if (first === undefined) return threads
  const thread = await ModelThread.open(first, backend, maxRunMs)
  threads.set(first, thread)
  const { name, module, passed } = thread.backend
  log.info({ backend: name, module, asked: backend, passed }, 'inference backend chosen')
  const opened = await Promise.allSettled(others.map(async (pool) => threads.set(pool, await ModelThread.open(pool, name, maxRunMs))))
  const failed = opened.find((result) => result.status === 'rejected')
  if (failed === undefined) return threads
  await Promise.all([...threads.values()].map((open) => open.close()))
  throw failed.reason
}
