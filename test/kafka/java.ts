import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const jars = fileURLToPath(new URL('../../.kafka/4.1.1', import.meta.url))
const pom = fileURLToPath(new URL('pom.xml', import.meta.url))
// The client compiler alone: a broker that lives for minutes on a shared core starts sooner and steals less from what is tested.
const java = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto', '-Dlog4j2.level=INFO', '-cp', join(jars, '*')]

/**
 * Java 17 and the jars of Apache Kafka, fetched by Maven the first time.
 *
 * @throws Error saying what is missing
 */
export async function prepareJava(): Promise<void> {
  const { stderr } = await run('java', ['-version'])
  const major = Number(/version "(\d+)/.exec(stderr)?.[1])
  if (!(major >= 17)) throw new Error(`Kafka 4 needs Java 17, and this is ${stderr.split('\n')[0]}`)
  await fetchJars()
}

async function fetchJars(): Promise<void> {
  if (existsSync(jars)) return
  const draft = `${jars}-${randomBytes(4).toString('hex')}`
  await mkdir(draft, { recursive: true })
  try {
    await run('mvn', ['-q', '-B', '-f', pom, 'dependency:copy-dependencies', '-DincludeScope=runtime', `-DoutputDirectory=${draft}`], {
      timeout: 280_000,
    })
    // Whole or not at all, should two runs fetch at once or one be stopped.
    await rename(draft, jars)
  } catch (error) {
    await rm(draft, { recursive: true, force: true })
    if (!existsSync(jars)) throw error
  }
}

/** Runs one of Kafka's tools to its end. */
export async function runTool(main: string, args: readonly string[]): Promise<string> {
  const { stdout } = await run('java', ['-Xmx128m', ...java, main, ...args])
  return stdout
}

/** A broker's process, from its start to its end. */
export interface ServerProcess {
  /** Settles when the broker says that it started; rejects, with its log, where it ends before or takes more than {@link mostMs}. */
  readonly started: Promise<void>
  readonly exited: Promise<void>
  signal(name: NodeJS.Signals): void
}

/** It takes some 3 s; on a machine that is busy with other things, thirty times as long. */
const mostMs = 300_000

/** Starts a broker; it dies with this process, whatever ends that (on Linux; elsewhere not by SIGKILL). */
export function startServer(properties: string, heapMiB: number): ServerProcess {
  const args = [`-Xmx${heapMiB}m`, `-Xms${heapMiB}m`, ...java, 'kafka.Kafka', properties]
  const [command, ...rest] = process.platform === 'linux' ? ['setpriv', '--pdeathsig', 'KILL', 'java', ...args] : ['java', ...args]
  const server = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] })
  const kill = (): void => void server.kill('SIGKILL')
  process.once('exit', kill)
  const started = Promise.withResolvers<void>()
  let log = ''
  const onText = (text: Buffer): void => {
    log += text.toString()
    // Before it is shortened: a process that was busy hears more at once than is kept.
    if (log.includes('Kafka Server started')) started.resolve()
    log = log.slice(-20_000)
  }
  server.stdout.on('data', onText)
  server.stderr.on('data', onText)
  const late = setTimeout(() => started.reject(new Error(`the broker took more than ${mostMs / 1_000} s to start:\n${log}`)), mostMs)
  const exited = once(server, 'exit').then(() => {
    process.off('exit', kill)
    clearTimeout(late)
    started.reject(new Error(`the broker ended before it had started:\n${log}`))
  })
  void started.promise.catch(() => {}).finally(() => clearTimeout(late))
  return { started: started.promise, exited, signal: (name) => void server.kill(name) }
}
