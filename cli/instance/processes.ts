import type { ChildProcess } from 'node:child_process'
import type { Logger } from 'pino'
import { Pause } from '../../bus/pause.ts'
import { CliError } from '../errors.ts'

export interface ProcessesOptions {
  readonly count: number
  /** Begins the process of that number, from 1: it sends a message when it is ready, and stops in order at SIGTERM. */
  readonly begin: (number: number) => ChildProcess
  readonly log: Pick<Logger, 'error'>
}

/** Processes that do the same work side by side; one that ends by itself is begun again. */
export interface Processes {
  /** Stops all of them in order. Whether all went well. */
  stop(): Promise<boolean>
}

/**
 * Resolves when all are ready.
 *
 * @throws CliError `START_FAILED` where one ends before: its own last words say why
 */
export async function openProcesses(options: ProcessesOptions): Promise<Processes> {
  const processes = new Kept(options)
  try {
    await processes.ready
    return processes
  } catch (error) {
    await processes.stop()
    throw error
  }
}

class Kept implements Processes {
  readonly ready: Promise<unknown>
  readonly #options: ProcessesOptions
  readonly #running = new Set<ChildProcess>()
  readonly #stopping = new AbortController()
  readonly #ended: readonly Promise<boolean>[]

  constructor(options: ProcessesOptions) {
    this.#options = options
    const readies = Array.from({ length: options.count }, () => Promise.withResolvers<void>())
    this.#ended = readies.map(({ resolve, reject }, index) => this.#keep(index + 1, resolve, reject))
    this.ready = Promise.all(readies.map(({ promise }) => promise))
  }

  async stop(): Promise<boolean> {
    this.#stopping.abort()
    for (const child of this.#running) child.kill('SIGTERM')
    const well = await Promise.all(this.#ended)
    return well.every((one) => one)
  }

  /** @returns whether its last process stopped in order */
  async #keep(number: number, onReady: () => void, onFailure: (error: CliError) => void): Promise<boolean> {
    const { begin, log } = this.#options
    const { signal: stopping } = this.#stopping
    const pause = new Pause()
    let wasReady = false
    for (;;) {
      const child = begin(number)
      this.#running.add(child)
      let isReady = false
      child.once('message', () => {
        isReady = true
        wasReady = true
        pause.reset()
        onReady()
      })
      const { code, signal } = await endOf(child)
      this.#running.delete(child)
      // One that was still beginning has nothing to stop in order.
      if (stopping.aborted) return code === 0 || !isReady
      if (!wasReady) {
        const how = `it ended with ${signal ?? `status ${code}`} before it was ready`
        onFailure(new CliError('START_FAILED', `process ${number} of ${this.#options.count}: ${how}`))
        return false
      }
      log.error({ process: number, code, signal }, 'a process of this node ended by itself, and is begun again')
      await pause.wait(stopping)
      if (stopping.aborted) return true
    }
  }
}

interface End {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

function endOf(child: ChildProcess): Promise<End> {
  return new Promise((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }))
    // It never began; whatever else fails of it, it ends or goes on.
    child.on('error', () => {
      if (child.pid === undefined) resolve({ code: null, signal: null })
    })
  })
}
