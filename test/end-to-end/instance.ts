import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { openClient } from '../../cli/client.ts'

const binary = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const run = promisify(execFile)

export interface Instance {
  readonly inference: string
  readonly console: string
  readonly dataDir: string
  readonly process: ChildProcess
  /** Runs a command with --json against it and parses the NDJSON. */
  cordon<T>(...args: readonly string[]): Promise<T[]>
  /** Asks the console's API as the commands do. */
  api<T>(path: string, body?: object): Promise<T>
  createKey(principal: string): Promise<{ keyId: string; key: string; principal: string }>
  /** What it wrote to standard error. */
  log(): string
  /** SIGTERM, and waits; resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL, and waits. */
  kill(): Promise<void>
}

export interface InstanceOptions {
  readonly dataDir: string
  readonly environment?: Readonly<Record<string, string>>
  readonly args?: readonly string[]
}

/** What runs now: a data directory cannot go while a process writes to it. */
const running = new Set<{ readonly dataDir: string; stop(): Promise<unknown> }>()

/** A data directory that is removed when the test ends, after whatever runs on it was stopped. */
export function temporaryDataDir(t: { after(fn: () => Promise<void>): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'cordon-test-'))
  t.after(async () => {
    for (const { dataDir, stop } of running) if (dataDir === dir) await stop()
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })
  return dir
}

/** Starts the real binary on free ports and waits for its ready line. */
export async function startInstance({ dataDir, environment, args = [] }: InstanceOptions): Promise<Instance> {
  const child = spawn(
    process.execPath,
    [binary, 'start', '--no-demo', '--json', '--port', '0', '--console-port', '0', '--data-dir', dataDir, '--log-level', 'warn', ...args],
    { env: { ...process.env, ...environment }, stdio: ['ignore', 'pipe', 'pipe'] },
  )
  let stderr = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-200_000)
  })
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  const stop = () => {
    child.kill('SIGTERM')
    return exited
  }
  const entry = { dataDir, stop }
  running.add(entry)
  void exited.then(() => running.delete(entry))
  const ready = await new Promise<{ ready: boolean; inference: string; console: string }>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`not ready after 30 s:\n${stderr}`)), 30_000)
    createInterface({ input: child.stdout }).once('line', (line) => {
      clearTimeout(timer)
      resolve(JSON.parse(line))
    })
    void exited.then((code) => reject(new Error(`exited with ${code} before it was ready:\n${stderr}`)))
  })
  const cordon = async <T>(...command: readonly string[]): Promise<T[]> => {
    const { stdout } = await run(process.execPath, [binary, ...command, '--json', '--data-dir', dataDir], { maxBuffer: 1e9 })
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as T)
  }
  const client = openClient({ dataDir })
  const api = <T>(path: string, body?: object): Promise<T> => (body === undefined ? client.get<T>(path) : client.post<T>(path, body))
  return {
    inference: ready.inference,
    console: ready.console,
    dataDir,
    process: child,
    cordon,
    api,
    createKey: (principal) => api('/api/keys', { principal }),
    log: () => stderr,
    stop,
    kill: async () => {
      child.kill('SIGKILL')
      await exited
    },
  }
}

/** Polls until `check` answers something other than undefined. */
export async function until<T>(what: string, check: () => Promise<T | undefined>, timeoutMs = 20_000): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const found = await check()
    if (found !== undefined) return found
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
