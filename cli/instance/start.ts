import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Logger, pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { openKeyRegistry } from '../../access/key-registry.ts'
import { openView } from '../../bus/view.ts'
import type { ConsolePorts, InstanceStatus } from '../../console/port.ts'
import { createConsole } from '../../console/server.ts'
import { collector } from '../../ingest/collector.ts'
import { startSink } from '../../ingest/sink.ts'
import { topicsObserved } from '../../pipeline/host/input.ts'
import { snapshotTopic, topics } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { writeAtomically } from './atomic-file.ts'
import { openBus } from './bus.ts'
import { Closers } from './closers.ts'
import { configuredDetectors, startDetection } from './detection.ts'
import { listening, urlOf } from './listen.ts'
import { startNode } from './node.ts'
import { consolePorts } from './ports.ts'
import { tailFindings, watchContainments } from './recent.ts'
import { startResponse } from './response.ts'
import { openSecrets } from './secrets.ts'
import { type Observed, statusOf } from './status.ts'
import { openInstanceStore } from './store.ts'

export interface RunningInstance {
  readonly inference: string
  readonly console: string
  readonly token: string
  readonly dataDir: string
  readonly ports: ConsolePorts
  /** Stops in order: no new requests, then what they left to be handled, then the log. Whether all went well. */
  stop(): Promise<boolean>
}

/**
 * Runs every role in this process and wires them: the one place that knows them all.
 *
 * @throws CordonError of the part that could not start, after closing the others
 */
export async function startInstance(config: Config, version: string): Promise<RunningInstance> {
  const log = openLog(config.log.level)
  const closers = new Closers()
  try {
    return await open(config, version, log, closers)
  } catch (error) {
    await closers.closeAll(log)
    throw error
  }
}

async function open(config: Config, version: string, log: Logger, closers: Closers): Promise<RunningInstance> {
  const startedAt = Date.now()
  const clock = () => Date.now()
  const { dataDir } = config
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'cordon_' })
  const source = config.inference.node
  const bus = await openBus(config, log)
  closers.add('bus', () => bus.close())
  // After the bus, whose lock is the directory's: of two first starts at once only one may make secrets.
  const secrets = openSecrets(dataDir)
  await bus.ensureTopics([...Object.values(topics), snapshotTopic])
  const store = await openInstanceStore(config, log)
  closers.add('store', () => store.close())
  const warn = (what: string) => (err: unknown) => log.warn({ err }, what)

  const sink = await startSink({ bus, store, log, registry, clock })
  closers.add('sink', () => sink.close())
  const keys = await openKeyRegistry({ bus, clock, source })
  closers.add('keys', () => keys.close())
  const models = await openView(bus, 'models', { onError: warn('a model could not be read') })
  closers.add('models', () => models.close())
  const incidents = await openView(bus, 'incidents', { onError: warn('an incident could not be read') })
  closers.add('incidents', () => incidents.close())
  const findings = await tailFindings(bus, warn('a finding could not be read'))
  closers.add('findings', () => findings.close())
  const { leases, worker } = await startResponse({ config, bus, keys, models, clock, registry, log, source }, closers)
  const containments = await watchContainments(bus, leases, warn('an acknowledgement could not be read'))
  closers.add('containments', () => containments.close())
  const host = await startDetection({ config, bus, clock, registry, log, source })
  closers.add('detectors', () => host.close())
  const node = await startNode({ config, bus, keys, models, secrets, clock, registry, log, modelsDir: modelsDirOf(config) }, closers)

  const detecting = topicsObserved(configuredDetectors(config))
  const observed: Observed = { version, startedAt, bus, store, sink, host, worker, node, clock, detecting }
  const status = (): Promise<InstanceStatus> => statusOf(observed)
  const ports = consolePorts({ bus, store, keys, incidents, findings, containments, worker, clock, status })
  const app = await createConsole({ ports, token: secrets.token, registry, log, plugins: [collector({ bus, clock, log, source })] })
  closers.add('console', () => app.close())
  await listening('console', config.console, () => app.listen(config.console))
  const console = urlOf(app, config.console.host)

  const file = join(dataDir, 'instance.json')
  writeAtomically(file, JSON.stringify({ pid: process.pid, inference: node.url, console, startedAt }))
  log.info({ inference: node.url, console, tookMs: Date.now() - startedAt }, 'ready')
  return {
    inference: node.url,
    console,
    token: secrets.token,
    dataDir,
    ports,
    stop: () => {
      rmSync(file, { force: true })
      return closers.closeAll(log)
    },
  }
}

function openLog(level: Config['log']['level']): Logger {
  const redact = {
    paths: [
      'key',
      'token',
      'password',
      'secret',
      '*.key',
      '*.token',
      '*.password',
      '*.secret',
      '*.authorization',
      'req.headers.authorization',
    ],
    censor: '[redacted]',
  }
  return pino({ level, redact }, pino.destination({ dest: 2, sync: false }))
}

function modelsDirOf(config: Config): string {
  return config.inference.modelsDir ?? fileURLToPath(new URL('../../inference/models/', import.meta.url))
}
