import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { RoleName } from '../../schemas/index.ts'

const binary = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const readyMs = 60_000

export interface RoleProcessOptions {
  readonly role: RoleName
  /** Its name in the run's report. */
  readonly name: string
  readonly environment: Readonly<Record<string, string>>
}

/** One role of the real binary in a process of its own, and what can be done to it. It is the same one from start to start. */
export class RoleProcess {
  readonly role: RoleName
  readonly name: string
  readonly #environment: Readonly<Record<string, string>>
  #child: ChildProcess | null = null
  #exited: Promise<number | null> = Promise.resolve(null)
  #url: string | null = null
  #paused = false
  #log = ''

  constructor({ role, name, environment }: RoleProcessOptions) {
    this.role = role
    this.name = name
    this.#environment = environment
  }

  get state(): 'running' | 'paused' | 'down' {
    if (this.#child === null) return 'down'
    return this.#paused ? 'paused' : 'running'
  }

  /** Where it listens while it runs; null where it listens nowhere. */
  get url(): string | null {
    return this.state === 'running' ? this.#url : null
  }

  /** The newest of what it wrote to standard error, over all its lives. */
  get log(): string {
    return this.#log
  }

  /** Resolves when it says that it is ready. */
  async start(): Promise<void> {
    if (this.#child !== null) throw new Error(`${this.name} runs already`)
    const child = spawn(process.execPath, [binary, this.role, '--json', '--log-level', 'warn'], {
      env: { ...process.env, ...this.#environment },
      stdio: ['ignore', 'pipe', 'pipe'],
      // Its own group: bin/cordon.js may run the pinned Node as a child, and both must be hit.
      detached: true,
    })
    this.#child = child
    const kill = () => this.#signal('SIGKILL')
    process.once('exit', kill)
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-400_000)
    })
    this.#exited = new Promise((resolve) => {
      child.once('exit', (code) => {
        process.off('exit', kill)
        this.#child = null
        this.#paused = false
        resolve(code)
      })
    })
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new Error(`${this.name} was not ready after ${readyMs} ms:\n${this.#log.slice(-4_000)}`)),
        readyMs,
      )
      createInterface({ input: child.stdout }).once('line', (line) => {
        clearTimeout(timer)
        this.#url = (JSON.parse(line) as { url: string | null }).url
        resolve()
      })
      void this.#exited.then((code) => {
        clearTimeout(timer)
        reject(new Error(`${this.name} ended with ${code} before it was ready:\n${this.#log.slice(-4_000)}`))
      })
    })
  }

  /** SIGKILL, and waits. */
  async kill(): Promise<void> {
    this.#signal('SIGKILL')
    await this.#exited
  }

  pause(): void {
    this.#signal('SIGSTOP')
    this.#paused = true
  }

  resume(): void {
    this.#signal('SIGCONT')
    this.#paused = false
  }

  /** SIGTERM, and waits; the exit code. */
  async stop(): Promise<number | null> {
    if (this.#child === null) return 0
    if (this.#paused) this.resume()
    this.#signal('SIGTERM')
    return this.#exited
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#child?.pid
    if (pid === undefined) return
    try {
      process.kill(-pid, signal)
    } catch {
      // It ended in the meantime.
    }
  }
}
