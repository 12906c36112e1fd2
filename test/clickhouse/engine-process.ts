import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile, rename } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const source = fileURLToPath(new URL('engine.c', import.meta.url))
/** Not in git; made again where it is gone. */
const cache = fileURLToPath(new URL('../../node_modules/.cache/cordon/', import.meta.url))
const forEver = [
  'SYSTEM START LISTEN HTTP',
  'SELECT sleepEachRow(1) FROM system.numbers FORMAT Null SETTINGS function_sleep_max_microseconds_per_block = 0, max_block_size = 1, max_execution_time = 0',
].join('; ')

export interface EngineProcess {
  readonly child: ChildProcess
  /** What it said last on its error output. */
  said(): string
}

/**
 * The engine of npm's `chdb` as a process that serves ClickHouse's HTTP interface on 127.0.0.1. It needs a C compiler
 * (`gcc`, `libc6-dev`) and glibc, and dies with this process.
 *
 * @param settings further arguments of `clickhouse local`
 */
export async function spawnEngine(path: string, port: number, settings: readonly string[] = []): Promise<EngineProcess> {
  const program = await compile()
  const server = ['--path', path, '--http_port', String(port), '--listen_host', '127.0.0.1', ...settings]
  const child = spawn(program, [libraryFile(), String(process.pid), ...server, '--query', forEver], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (text: Buffer) => {
    said = (said + text.toString()).slice(-4_000)
  })
  await once(child, 'spawn')
  return { child, said: () => said }
}

/** Its package is a dependency of chdb's. */
function libraryFile(): string {
  const here = createRequire(import.meta.url)
  return createRequire(here.resolve('chdb')).resolve(`@chdb/lib-linux-${process.arch}-gnu/libchdb.so`)
}

async function compile(): Promise<string> {
  const hash = createHash('sha256')
    .update(await readFile(source))
    .digest('hex')
    .slice(0, 16)
  const program = join(cache, `clickhouse-engine-${hash}`)
  if (existsSync(program)) return program
  await mkdir(cache, { recursive: true })
  const draft = `${program}.${randomBytes(4).toString('hex')}`
  await run('cc', ['-O1', '-o', draft, source, '-ldl'])
  // Whole or not at all, should two tests compile at once.
  await rename(draft, program)
  return program
}
