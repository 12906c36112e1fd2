import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { AclEntry } from '../../bus/kafka/acls.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import type { EventBus } from '../../bus/port.ts'
import { type Client, openClient } from '../../cli/client.ts'
import { writeSecrets } from '../../cli/instance/secrets.ts'
import { RoleName } from '../../schemas/index.ts'
import { type Proxy, startProxy } from '../clickhouse/proxy.ts'
import type { ClickHouseServer } from '../clickhouse/server.ts'
import { startClickHouse } from '../clickhouse/start.ts'
import { type Cluster, startCluster } from '../kafka/cluster.ts'
import { parseLines } from '../kafka/cordon.ts'
import { accessOf, grant } from '../kafka/grants.ts'
import { RoleProcess } from './role-process.ts'
import { SmallDisk } from './small-disk.ts'

const run = promisify(execFile)
const binary = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const skewed = new URL('skewed-clock.ts', import.meta.url).href

/** Environment to log in with; none where the cluster is open to everyone. */
function loginOf({ security }: Cluster, user: string): Record<string, string> {
  if (security === null) return {}
  const { username, password } = security.login(user)
  return { CORDON_BUS_SSL: 'true', CORDON_BUS_CA_FILE: security.caFile, CORDON_BUS_USERNAME: username, CORDON_BUS_PASSWORD: password }
}

/** How far ahead the clock of `node-ahead` is. */
export const aheadMs = 3_600_000
export const telemetryMs = 1_000

/** Cordon as many processes: a cluster of three brokers, ClickHouse behind a proxy, and at least two of each role that scales. */
export interface Deployment {
  readonly cluster: Cluster
  readonly clickhouse: ClickHouseServer
  readonly proxy: Proxy
  readonly roles: ReadonlyMap<string, RoleProcess>
  /** Under the spool of `node-1`; null where none was wanted. */
  readonly disk: SmallDisk | null
  /** The console's API. */
  readonly api: Client
  readonly token: string
  /** One more detect process, not started. */
  extraDetect(n: number): RoleProcess
  openBus(clientId: string): Promise<EventBus>
  stop(): Promise<void>
}

const nodes = ['node-1', 'node-2', 'node-ahead']

export interface DeploymentOptions {
  /** Processes by name; default all of them. */
  readonly names?: readonly string[]
  /** Default 3. */
  readonly brokers?: number
  /** TLS, SCRAM and rights: each role logs in as itself and may do what `cordon topics acls` prints, no more. Default false; one broker only. */
  readonly secured?: boolean
  /** A disk under the spool of `node-1` that can be filled up, for which it needs the right to mount. Default true. */
  readonly smallDisk?: boolean
  /** Of single processes, over what all have. */
  readonly environment?: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly say: (line: string) => void
}

export const everyRole: readonly string[] = [
  ...nodes,
  'ingest-1',
  'ingest-2',
  'detect-1',
  'detect-2',
  'respond-1',
  'respond-2',
  'console-1',
]

export async function startDeployment(options: DeploymentOptions): Promise<Deployment> {
  const { names = everyRole, brokers = 3, secured = false, smallDisk = true, environment = {}, say } = options
  const root = mkdtempSync(join(tmpdir(), 'cordon-faults-'))
  const opened: (() => Promise<unknown>)[] = [async () => rmSync(root, { recursive: true, force: true, maxRetries: 5 })]
  const stop = async () => {
    for (let next = opened.pop(); next !== undefined; next = opened.pop()) await next().catch((error) => say(`stopping: ${error}`))
  }
  try {
    const security = secured ? { security: { users: RoleName.options.map((role) => `cordon-${role}`) } } : {}
    const [cluster, clickhouse] = await Promise.all([startCluster({ brokers, ...security }), startClickHouse()])
    opened.push(
      () => cluster.stop(),
      () => clickhouse.stop(),
    )
    const proxy = await startProxy(clickhouse.url)
    opened.push(() => proxy.close())
    const secrets = writeSecrets(join(root, 'secrets'))
    const environmentOf = (name: string): Record<string, string> => {
      const role = name.split('-')[0] ?? ''
      const dataDir = join(root, name)
      mkdirSync(dataDir, { recursive: true })
      return {
        CORDON_DATA_DIR: dataDir,
        CORDON_INSTANCE: name,
        CORDON_SECRETS_FILE: role === 'node' ? secrets.node : secrets.api,
        CORDON_BUS_ADAPTER: 'kafka',
        CORDON_BUS_BROKERS: JSON.stringify(cluster.brokers),
        ...loginOf(cluster, role === 'operator' ? 'admin' : `cordon-${role}`),
        CORDON_STORE_URL: proxy.url,
        CORDON_INFERENCE_NODE: name,
        CORDON_INFERENCE_PORT: '0',
        CORDON_INFERENCE_TELEMETRY_MS: String(telemetryMs),
        CORDON_CONSOLE_PORT: '0',
        CORDON_INGEST_PORT: '0',
        CORDON_HEARTBEAT_MS: '1000',
        ...environment[name],
        ...(name === 'node-ahead' ? { NODE_OPTIONS: `--import ${skewed}`, CLOCK_AHEAD_MS: String(aheadMs) } : {}),
      }
    }
    const admin = { ...process.env, ...environmentOf('operator') }
    await run(process.execPath, [binary, 'topics', 'apply'], { env: admin })
    if (secured) {
      const { stdout } = await run(process.execPath, [binary, 'topics', 'acls', '--json'], { env: admin })
      await grant(cluster, parseLines<AclEntry>(stdout))
    }
    const make = (name: string) =>
      new RoleProcess({ role: name.split('-')[0] as RoleProcess['role'], name, environment: environmentOf(name) })
    const roles = new Map(names.map((name) => [name, make(name)]))
    opened.push(async () => {
      await Promise.all([...roles.values()].map((role) => role.kill()))
    })
    const disk = smallDisk ? await SmallDisk.mount(join(root, 'node-1', 'spool'), 4 << 20) : null
    opened.push(async () => disk?.unmount())
    // Control first, so that nodes know their models when they begin to answer.
    const started = performance.now()
    for (const kind of ['respond', 'ingest', 'detect', 'console', 'node']) {
      await Promise.all([...roles.values()].filter(({ role }) => role === kind).map((role) => role.start()))
    }
    say(`${roles.size} processes ready in ${Math.round(performance.now() - started)} ms`)
    const token = (JSON.parse(await readFile(secrets.api, 'utf8')) as { token: string }).token
    const api = (): Client => openClient({ dataDir: root, url: roles.get('console-1')?.url ?? 'http://127.0.0.1:9', token })
    return {
      cluster,
      clickhouse,
      proxy,
      roles,
      disk,
      token,
      api: {
        get: (path, query) => api().get(path, query),
        post: (path, body) => api().post(path, body),
        follow: (path, query, signal) => api().follow(path, query, signal),
      },
      extraDetect: (n) => make(`detect-${100 + n}`),
      openBus: async (clientId) => createKafkaBus({ brokers: cluster.brokers, clientId, prefix: 'cordon.', ...(await accessOf(cluster)) }),
      stop,
    }
  } catch (error) {
    await stop()
    throw error
  }
}
