import { InferenceError } from './errors.ts'
import type {
  EndpointCount,
  InferCall,
  Inference,
  ModelInfo,
  ModelStatistics,
  Runtime,
  TensorRuntime,
  TextAnswer,
  TextCall,
  TextRuntime,
} from './port.ts'

/** Several runtimes as one: each pool has the one that runs it. A model that several pools serve is described by the first. */
abstract class Pooled<R extends Runtime> implements Runtime {
  protected readonly byPool: ReadonlyMap<string, R>
  protected readonly runtimes: readonly R[]

  constructor(byPool: ReadonlyMap<string, R>) {
    this.byPool = byPool
    this.runtimes = [...new Set(byPool.values())]
  }

  list(): readonly ModelInfo[] {
    const found = new Map<string, ModelInfo>()
    for (const runtime of this.runtimes) {
      for (const info of runtime.list()) if (!found.has(`${info.name}/${info.version}`)) found.set(`${info.name}/${info.version}`, info)
    }
    return [...found.values()]
  }

  info(model: string, version: string): ModelInfo | undefined {
    for (const runtime of this.runtimes) {
      const info = runtime.info(model, version)
      if (info !== undefined) return info
    }
    return undefined
  }

  depth(pool: string): number {
    return this.byPool.get(pool)?.depth(pool) ?? 0
  }

  ready(pool: string): boolean {
    return this.byPool.get(pool)?.ready(pool) ?? false
  }

  infoIn(pool: string, model: string, version: string): ModelInfo | undefined {
    return this.byPool.get(pool)?.info(model, version)
  }

  endpoints(pool: string): EndpointCount | undefined {
    return this.byPool.get(pool)?.endpoints?.(pool)
  }

  async close(): Promise<void> {
    await Promise.all(this.runtimes.map((runtime) => runtime.close()))
  }

  protected of(pool: string): R {
    const runtime = this.byPool.get(pool)
    if (runtime === undefined) throw new InferenceError('MODEL_NOT_FOUND', `There is no pool ${pool} for this`)
    return runtime
  }
}

export class PooledTensorRuntime extends Pooled<TensorRuntime> implements TensorRuntime {
  get backend(): string {
    return this.runtimes.find(({ backend }) => backend !== 'none')?.backend ?? 'none'
  }

  async infer(call: InferCall): Promise<Inference> {
    return this.of(call.pool).infer(call)
  }

  statistics(model: string, version: string): ModelStatistics | undefined {
    for (const runtime of this.runtimes) {
      const statistics = runtime.statistics(model, version)
      if (statistics !== undefined) return statistics
    }
    return undefined
  }

  tensorBytes(): number {
    return this.runtimes.reduce((sum, runtime) => sum + runtime.tensorBytes(), 0)
  }
}

export class PooledTextRuntime extends Pooled<TextRuntime> implements TextRuntime {
  async generate(call: TextCall): Promise<TextAnswer> {
    return this.of(call.pool).generate(call)
  }
}
