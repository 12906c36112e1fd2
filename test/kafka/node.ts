import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type ServerProcess, startServer } from './java.ts'

const heapMiB = 256

/** One broker of a cluster, and what can be done to it. It keeps its ports and its data from start to start. */
export class KafkaNode {
  readonly id: number
  /** Where clients reach it. */
  readonly address: string
  readonly #directory: string
  #server: ServerProcess | null = null
  #paused = false

  constructor(id: number, address: string, directory: string) {
    this.id = id
    this.address = address
    this.#directory = directory
  }

  get state(): 'running' | 'paused' | 'down' {
    if (this.#server === null) return 'down'
    return this.#paused ? 'paused' : 'running'
  }

  /** Writes its settings, before its first start. */
  async configure(settings: Readonly<Record<string, string>>): Promise<void> {
    await mkdir(this.#directory, { recursive: true })
    const lines = Object.entries({ ...settings, 'log.dirs': this.dataDirectory }).map(([name, value]) => `${name}=${value}\n`)
    await writeFile(this.propertiesFile, lines.join(''))
  }

  get propertiesFile(): string {
    return join(this.#directory, 'server.properties')
  }

  get dataDirectory(): string {
    return join(this.#directory, 'data')
  }

  /** Resolves when it answers. Several brokers that start for the first time need each other: start them together. */
  async start(): Promise<void> {
    if (this.#server !== null) throw new Error(`broker ${this.id} runs already`)
    const server = startServer(this.propertiesFile, heapMiB)
    this.#server = server
    this.#paused = false
    void server.exited.then(() => {
      if (this.#server === server) this.#server = null
    })
    await server.started
  }

  /** kill -9. Resolves when it is gone. */
  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Lets it hand over what it leads, for up to 20 s. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.resume()
    const slow = setTimeout(() => this.#server?.signal('SIGKILL'), 20_000)
    await this.#end('SIGTERM')
    clearTimeout(slow)
  }

  /** Stops its clock (SIGSTOP): its connections stay open and nothing answers. */
  pause(): void {
    if (this.#server === null) throw new Error(`broker ${this.id} is down: nothing to pause`)
    this.#server.signal('SIGSTOP')
    this.#paused = true
  }

  resume(): void {
    this.#server?.signal('SIGCONT')
    this.#paused = false
  }

  /** Who leads the controllers, as this one wrote it down last; null while it knows of none. */
  async leader(): Promise<{ readonly id: number; readonly epoch: number } | null> {
    const text = await readFile(join(this.dataDirectory, '__cluster_metadata-0', 'quorum-state'), 'utf8').catch(() => '{}')
    const { leaderId, leaderEpoch } = JSON.parse(text) as { leaderId?: number; leaderEpoch?: number }
    return leaderId === undefined || leaderEpoch === undefined || leaderId < 0 ? null : { id: leaderId, epoch: leaderEpoch }
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const server = this.#server
    if (server === null) return
    server.signal(signal)
    await server.exited
    this.#paused = false
  }
}
