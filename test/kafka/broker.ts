import { execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const run = promisify(execFile)
const image = 'apache/kafka:4.1.1'
const jars = fileURLToPath(new URL('../../.kafka/4.1.1', import.meta.url))
const pom = fileURLToPath(new URL('pom.xml', import.meta.url))

/** A running broker. */
export interface Broker {
  readonly brokers: readonly string[]
  /** Where it came from, for the test's output. */
  readonly origin: string
  stop(): Promise<void>
}

/**
 * A real broker: the one that `KAFKA_BROKERS` names, else Apache Kafka in a container where Docker answers, else on
 * Java 17 with jars from Maven.
 *
 * @throws Error where there is none of these, saying why not
 */
export async function startBroker(): Promise<Broker> {
  const given = process.env.KAFKA_BROKERS
  if (given !== undefined && given !== '') return { brokers: given.split(','), origin: 'KAFKA_BROKERS', stop: async () => {} }
  const reasons: string[] = []
  for (const start of [startContainer, startJava]) {
    try {
      return await start()
    } catch (error) {
      reasons.push(`${start.name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`no Kafka broker to test against; set KAFKA_BROKERS, start Docker, or install Java 17 and Maven.\n${reasons.join('\n')}`)
}

/** Settings of a single broker that is its own controller; shared by both ways of starting one. */
function settings(port: number, controllerPort: number, host: string): Record<string, string> {
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@localhost:${controllerPort}`,
    'controller.listener.names': 'CONTROLLER',
    listeners: `PLAINTEXT://${host}:${port},CONTROLLER://${host}:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${port}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    'auto.create.topics.enable': 'false',
  }
}

async function startContainer(): Promise<Broker> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const port = await freePort()
  // The image reads KAFKA_ variables as settings. The port is fixed, since the broker must advertise it.
  const environment = Object.entries(settings(port, 29_093, '0.0.0.0')).map(([name, value]) => [
    `KAFKA_${name.replaceAll('.', '_').toUpperCase()}`,
    value,
  ])
  const container = await new GenericContainer(image)
    .withExposedPorts({ container: port, host: port })
    .withEnvironment(Object.fromEntries(environment))
    // The port answers before the broker does.
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(120_000)
    .start()
  return { brokers: [`127.0.0.1:${port}`], origin: `container ${image}`, stop: async () => void (await container.stop()) }
}

async function startJava(): Promise<Broker> {
  await checkJava()
  await fetchJars()
  const directory = await mkdtemp(join(tmpdir(), 'cordon-kafka-'))
  const port = await freePort()
  const properties = join(directory, 'server.properties')
  const config = { ...settings(port, await freePort(), '127.0.0.1'), 'log.dirs': join(directory, 'data') }
  await writeFile(
    properties,
    Object.entries(config)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(''),
  )
  const java = ['-Xmx512m', '-Dlog4j2.level=INFO', '-cp', join(jars, '*')]
  await run('java', [...java, 'kafka.tools.StorageTool', 'format', '-t', randomBytes(16).toString('base64url'), '-c', properties])
  const stop = await startServer([...java, 'kafka.Kafka', properties])
  return {
    brokers: [`127.0.0.1:${port}`],
    origin: 'Java, jars by Maven',
    stop: async () => {
      await stop()
      await rm(directory, { recursive: true })
    },
  }
}

/** Resolves when the broker says that it started. */
async function startServer(args: readonly string[]): Promise<() => Promise<void>> {
  const server = spawn('java', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const exited = once(server, 'exit')
  const kill = (): void => void server.kill('SIGKILL')
  process.once('exit', kill)
  let log = ''
  const started = Promise.withResolvers<void>()
  const onText = (text: Buffer): void => {
    log = (log + text.toString()).slice(-20_000)
    if (log.includes('Kafka Server started')) started.resolve()
  }
  server.stdout.on('data', onText)
  server.stderr.on('data', onText)
  const late = setTimeout(() => started.reject(new Error(`the broker took more than 90 s to start:\n${log}`)), 90_000)
  void exited.then(() => started.reject(new Error(`the broker ended before it had started:\n${log}`)))
  try {
    await started.promise
  } catch (error) {
    kill()
    throw error
  } finally {
    clearTimeout(late)
  }
  return async () => {
    server.kill('SIGTERM')
    const slow = setTimeout(kill, 20_000)
    await exited
    clearTimeout(slow)
    process.off('exit', kill)
  }
}

async function checkJava(): Promise<void> {
  const { stderr } = await run('java', ['-version'])
  const major = Number(/version "(\d+)/.exec(stderr)?.[1])
  if (!(major >= 17)) throw new Error(`Kafka 4 needs Java 17, and this is ${stderr.split('\n')[0]}`)
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

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no free port')
  return address.port
}
