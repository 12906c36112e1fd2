import { startCluster } from './cluster.ts'
import { fixedPorts } from './ports.ts'
import { brokerSettings } from './settings.ts'

const image = 'apache/kafka:4.1.1'

/** A running broker. */
export interface Broker {
  readonly brokers: readonly string[]
  /** Where it came from, for the test's output. */
  readonly origin: string
  stop(): Promise<void>
}

/**
 * A real broker: the one that `KAFKA_BROKERS` names, else Apache Kafka in a container where Docker answers, else on
 * Java 17 with jars from Maven. `CORDON_TEST_BROKER=docker` or `java` allows that way alone.
 *
 * @throws Error where there is none of these, saying why not
 */
export async function startBroker(): Promise<Broker> {
  const given = process.env.KAFKA_BROKERS
  if (given !== undefined && given !== '') return { brokers: given.split(','), origin: 'KAFKA_BROKERS', stop: async () => {} }
  const only = process.env.CORDON_TEST_BROKER ?? ''
  const ways = Object.entries({ docker: startContainer, java: startJava }).filter(([name]) => only === '' || name === only)
  if (ways.length === 0) throw new Error(`CORDON_TEST_BROKER is docker or java, not ${only}`)
  const reasons: string[] = []
  for (const [name, start] of ways) {
    try {
      return await start()
    } catch (error) {
      reasons.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new Error(`no Kafka broker to test against; set KAFKA_BROKERS, start Docker, or install Java 17 and Maven.\n${reasons.join('\n')}`)
}

async function startContainer(): Promise<Broker> {
  const { GenericContainer, Wait } = await import('testcontainers')
  const [client, controller] = (await fixedPorts(2)) as [number, number]
  // The image reads KAFKA_ variables as settings. The port is fixed, since the broker must advertise it.
  const environment = Object.entries(brokerSettings(1, [{ client, controller }], '0.0.0.0')).map(([name, value]) => [
    `KAFKA_${name.replaceAll('.', '_').toUpperCase()}`,
    value,
  ])
  const container = await new GenericContainer(image)
    .withExposedPorts({ container: client, host: client })
    .withEnvironment(Object.fromEntries(environment))
    // The port answers before the broker does.
    .withWaitStrategy(Wait.forLogMessage(/Kafka Server started/))
    .withStartupTimeout(120_000)
    .start()
  return { brokers: [`127.0.0.1:${client}`], origin: `container ${image}`, stop: async () => void (await container.stop()) }
}

async function startJava(): Promise<Broker> {
  const cluster = await startCluster({ brokers: 1 })
  return { brokers: cluster.brokers, origin: 'Java, jars by Maven', stop: () => cluster.stop() }
}
