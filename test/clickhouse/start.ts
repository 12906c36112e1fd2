import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../bus/until.ts'
import { startContainer } from './container.ts'
import { type EngineProcess, spawnEngine } from './engine-process.ts'
import { freePort } from './free-port.ts'
import type { ClickHouseServer, ServerOptions } from './server.ts'

const given = process.env.CLICKHOUSE_URL ?? ''
const forced = process.env.CORDON_TEST_CLICKHOUSE

/** Why tests that kill or pause the server cannot be run; false where they can. */
export const notOurs: string | false = given !== '' && forced === undefined && 'the server of CLICKHOUSE_URL is not ours to hurt'

/**
 * A ClickHouse to test against: the one that `CLICKHOUSE_URL` names; else the official image `clickhouse/clickhouse-server`
 * where Docker answers and has it; else the engine of npm's `chdb` behind ClickHouse's own HTTP interface.
 * `CORDON_TEST_CLICKHOUSE=docker` or `local` forces the second or the third.
 *
 * The third is the engine and its HTTP interface (the same parser, storage, settings, errors, and crash recovery), ready
 * in 1 s, and not the official server: no `system.query_log`, no users but `default`, no native protocol, no Keeper, and
 * one user's limits only. What is named by `CLICKHOUSE_URL` is never killed: these calls throw.
 */
export async function startClickHouse(options: ServerOptions = {}): Promise<ClickHouseServer> {
  if (given !== '' && forced === undefined) return givenServer(given)
  const port = options.port ?? (await freePort())
  if (forced !== 'local') {
    const container = await startContainer(port)
    if (container !== null) return container
    if (forced === 'docker')
      throw new Error('CORDON_TEST_CLICKHOUSE=docker: Docker does not answer, or has no image clickhouse/clickhouse-server')
  }
  return startEngine(port, options.path)
}

function givenServer(url: string): ClickHouseServer {
  const refuse = (): Promise<never> => Promise.reject(new Error(String(notOurs)))
  return { url, origin: 'CLICKHOUSE_URL', kill: refuse, pause: refuse, resume: refuse, restart: refuse, stop: async () => {} }
}

async function startEngine(port: number, folder: string | undefined): Promise<ClickHouseServer> {
  const path = folder ?? (await mkdtemp(join(tmpdir(), 'cordon-clickhouse-')))
  const url = `http://127.0.0.1:${port}`
  let engine = await open(path, port, url)
  const kill = async (): Promise<void> => {
    if (engine.child.exitCode !== null || engine.child.signalCode !== null) return
    const ended = once(engine.child, 'exit')
    engine.child.kill('SIGKILL')
    await ended
  }
  return {
    url,
    origin: 'the engine of npm’s chdb behind its HTTP interface',
    kill,
    pause: async () => void engine.child.kill('SIGSTOP'),
    resume: async () => void engine.child.kill('SIGCONT'),
    restart: async () => {
      await kill()
      engine = await open(path, port, url)
    },
    stop: async () => {
      await kill()
      if (folder === undefined) await rm(path, { recursive: true, force: true })
    },
  }
}

async function open(path: string, port: number, url: string): Promise<EngineProcess> {
  const engine = await spawnEngine(path, port)
  const answers = async () => {
    if (engine.child.exitCode !== null) throw new Error(`the engine ended before it answered: ${engine.said()}`)
    return pings(url)
  }
  try {
    // After a kill, and beside everything else, it reads what it has for a while.
    await until('the engine answers', answers, 60_000)
    return engine
  } catch (error) {
    engine.child.kill('SIGKILL')
    throw error
  }
}

async function pings(url: string): Promise<boolean> {
  try {
    return (await (await fetch(`${url}/ping`, { signal: AbortSignal.timeout(1_000) })).text()).startsWith('Ok')
  } catch {
    return false
  }
}
