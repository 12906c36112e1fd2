import { Worker } from 'node:worker_threads'
import { InferenceError } from '../errors.ts'
import type { ModelInfo } from '../port.ts'
import type { BackendChoice, OpenedBackend } from './backend.ts'
import { type Block, buffersOf, type Held, type Order, type Report } from './protocol.ts'
import { Watch } from './watch.ts'

/** How long a thread may take to let go of its models. */
const endMs = 5_000

export interface Ran {
  readonly outputs: readonly Block[]
  readonly runMs: number
}

interface Waiting {
  readonly type: Order['type']
  readonly resolve: (report: Report) => void
  readonly reject: (error: InferenceError) => void
}

interface Started {
  readonly worker: Worker
  readonly backend: OpenedBackend
  readonly maxRunMs: number
  readonly gone: Promise<Error>
  readonly giveUp: (why: Error) => void
}

/**
 * The thread that runs models for one pool, seen from outside. It answers in the order that it was asked in; one that runs a batch
 * for too long is given up.
 */
export class ModelThread {
  readonly backend: OpenedBackend
  /** Resolves when the thread has ended, whyever. */
  readonly gone: Promise<Error>
  #held: Held = { tensors: 0, bytes: 0 }
  readonly #worker: Worker
  readonly #watch: Watch
  #building: number | undefined
  readonly #waiting = new Map<number, Waiting>()
  #next = 0
  #dead = false

  private constructor({ worker, backend, maxRunMs, gone, giveUp }: Started) {
    this.#worker = worker
    this.backend = backend
    this.#watch = new Watch(maxRunMs, () => {
      // A thread that is in native code ends when that returns, if ever: nothing waits for it.
      giveUp(new Error(`a batch ran for more than ${maxRunMs} ms`))
      worker.unref()
      this.#end()
    })
    this.gone = gone.then((error) => {
      this.#dead = true
      this.#watch.stop()
      this.#failAll(error)
      return error
    })
    worker.on('message', (report: Report) => this.#take(report))
  }

  /** Throws `BACKEND_UNAVAILABLE`. */
  static async open(pool: string, choice: BackendChoice, maxRunMs: number): Promise<ModelThread> {
    const worker = new Worker(new URL('./worker.ts', import.meta.url), { name: `models ${pool}`, workerData: { backend: choice } })
    const { promise: gone, resolve: giveUp } = Promise.withResolvers<Error>()
    worker.on('error', (error) => giveUp(error instanceof Error ? error : new Error('unknown')))
    worker.on('exit', (code) => giveUp(new Error(`the thread ended with ${code}`)))
    const first = new Promise<Report>((resolve) => worker.once('message', resolve))
    const report = await Promise.race([first, gone])
    if (report instanceof Error || report.type !== 'opened') {
      const message = report instanceof Error ? `The thread of the pool ${pool} did not start: ${report.message}` : messageOf(report)
      throw new InferenceError('BACKEND_UNAVAILABLE', message)
    }
    return new ModelThread({ worker, backend: report.backend, maxRunMs, gone, giveUp })
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
    const timer = setTimeout(() => this.#end(), endMs)
    await this.gone
    clearTimeout(timer)
  }

  /**
   * Dawn ends the whole process where a thread is terminated that waits for it (node-addon-api 902 has one of the reasons). But whoever
   * waits for a device does not hold the thread up: it hears that the device is to go, and then nothing keeps it.
   */
  #end(): void {
    const order: Order = { type: 'lose' }
    if (this.backend.name === 'webgpu') this.#worker.postMessage(order, [])
    else void this.#worker.terminate()
  }

  #ask(orderOf: (id: number) => Exclude<Order, { type: 'end' | 'lose' }>, buffers: ArrayBuffer[]): Promise<Report> {
    return new Promise((resolve, reject) => {
      if (this.#dead) return reject(lost(new Error('it has ended')))
      const order = orderOf(this.#next++)
      this.#waiting.set(order.id, { type: order.type, resolve, reject })
      this.#worker.postMessage(order, buffers)
      if (!this.#watch.on) this.#rewatch()
    })
  }

  #take(report: Report): void {
    if (this.#dead || report.type === 'opened' || report.type === 'refused') return
    if (report.type === 'building') {
      this.#building = report.id
      return this.#rewatch()
    }
    this.#held = report.held
    if (this.#building === report.id) this.#building = undefined
    const waiting = this.#waiting.get(report.id)
    this.#waiting.delete(report.id)
    this.#rewatch()
    if (report.type === 'failed') waiting?.reject(new InferenceError(report.code, report.message))
    else waiting?.resolve(report)
  }

  /** What runs now began with the last report; how long a model takes to build is for whoever put it there to know. */
  #rewatch(): void {
    const runs = [...this.#waiting.values()].some(({ type }) => type !== 'load')
    if (runs && this.#building === undefined) this.#watch.start()
    else this.#watch.stop()
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
