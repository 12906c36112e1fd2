import { Worker } from 'node:worker_threads'
import { InferenceError } from '../errors.ts'
import type { ModelInfo } from '../port.ts'
import type { BackendChoice, OpenedBackend } from './backend.ts'
import { type Block, buffersOf, type Held, type Order, type Report } from './protocol.ts'

/** How long a thread may take to let go of its models. */
const endMs = 5_000

export interface Ran {
  readonly outputs: readonly Block[]
  readonly runMs: number
}

interface Waiting {
  readonly resolve: (report: Report) => void
  readonly reject: (error: InferenceError) => void
}

/** The thread that runs models for one pool, seen from outside. It answers in the order that it was asked in. */
export class ModelThread {
  readonly backend: OpenedBackend
  /** Resolves when the thread has ended, whyever. */
  readonly gone: Promise<Error>
  #held: Held = { tensors: 0, bytes: 0 }
  readonly #worker: Worker
  readonly #waiting = new Map<number, Waiting>()
  #next = 0
  #dead = false

  private constructor(worker: Worker, backend: OpenedBackend, gone: Promise<Error>) {
    this.#worker = worker
    this.backend = backend
    this.gone = gone.then((error) => {
      this.#dead = true
      this.#failAll(error)
      return error
    })
    worker.on('message', (report: Report) => this.#take(report))
  }

  /** Throws `BACKEND_UNAVAILABLE`. */
  static async open(pool: string, choice: BackendChoice): Promise<ModelThread> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { name: `models ${pool}`, workerData: { backend: choice } })
    const gone = new Promise<Error>((resolve) => {
      worker.on('error', (error) => resolve(error instanceof Error ? error : new Error('unknown')))
      worker.on('exit', (code) => resolve(new Error(`the thread ended with ${code}`)))
    })
    const first = new Promise<Report>((resolve) => worker.once('message', resolve))
    const report = await Promise.race([first, gone])
    if (report instanceof Error || report.type !== 'opened') {
      const message = report instanceof Error ? `The thread of the pool ${pool} did not start: ${report.message}` : messageOf(report)
      throw new InferenceError('BACKEND_UNAVAILABLE', message)
    }
    return new ModelThread(worker, report.backend, gone)
  }

  /** Tensors of the thread, as of its last answer. */
  get held(): Held {
    return this.#held
  }

  /** @returns bytes of the weights. Throws `MODEL_CORRUPT`, `BACKEND_UNAVAILABLE`, `INFERENCE_FAILED`. */
  async load(key: string, info: ModelInfo, modelsDir: string, maxItems: number): Promise<number> {
    const report = await this.#ask((id) => ({ type: 'load', id, key, info, modelsDir, maxItems }), [])
    return report.type === 'loaded' ? report.bytes : 0
  }

  /** The inputs change hands: their buffers are empty here afterwards. Throws `INFERENCE_FAILED`. */
  async run(key: string, inputs: readonly Block[], outputs: readonly number[]): Promise<Ran> {
    const report = await this.#ask((id) => ({ type: 'run', id, key, inputs, outputs }), buffersOf(inputs))
    return report.type === 'ran' ? report : { outputs: [], runMs: 0 }
  }

  async dispose(key: string): Promise<void> {
    await this.#ask((id) => ({ type: 'dispose', id, key }), [])
  }

  async close(): Promise<void> {
    const order: Order = { type: 'end' }
    this.#worker.postMessage(order, [])
    const timer = setTimeout(() => void this.#worker.terminate(), endMs)
    await this.gone
    clearTimeout(timer)
  }

  #ask(orderOf: (id: number) => Order, buffers: ArrayBuffer[]): Promise<Report> {
    return new Promise((resolve, reject) => {
      if (this.#dead) return reject(lost(new Error('it has ended')))
      const id = this.#next++
      this.#waiting.set(id, { resolve, reject })
      this.#worker.postMessage(orderOf(id), buffers)
    })
  }

  #take(report: Report): void {
    if (report.type === 'opened' || report.type === 'refused') return
    this.#held = report.held
    const waiting = this.#waiting.get(report.id)
    this.#waiting.delete(report.id)
    if (report.type === 'failed') waiting?.reject(new InferenceError(report.code, report.message))
    else waiting?.resolve(report)
  }

  #failAll(error: Error): void {
    this.#held = { tensors: 0, bytes: 0 }
    for (const { reject } of this.#waiting.values()) reject(lost(error))
    this.#waiting.clear()
  }
}

function messageOf(report: Report): string {
  return report.type === 'refused' ? report.message : 'The thread answered out of turn'
}

function lost(cause: Error): InferenceError {
  return new InferenceError('INFERENCE_FAILED', 'The thread that ran the model ended', { cause })
}
