import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { writeSecrets } from '../../cli/instance/secrets.ts'
import type { ContainmentView, InstanceStatus } from '../../console/port.ts'
import { until } from '../bus/until.ts'
import { freePort } from '../clickhouse/free-port.ts'
import { type Deployment, startDeployment } from '../faults/deployment.ts'

const binary = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const names = ['node-1-1', 'node-1-2']
const body = JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: Array(784).fill(0) }] })

/** Ids of the processes that run as the node of this name. */
async function processesOf(node: string): Promise<readonly number[]> {
  const found: number[] = []
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const environment = await readFile(`/proc/${entry}/environ`, 'latin1').catch(() => '')
    if (environment.split('\0').includes(`CORDON_INFERENCE_NODE=${node}`)) found.push(Number(entry))
  }
  return found
}

describe('several node processes of one machine', () => {
  let deployment: Deployment
  let url: string
  let key: string

  before(async () => {
    const port = await freePort()
    url = `http://127.0.0.1:${port}`
    const environment = { 'node-1': { CORDON_INFERENCE_PROCESSES: '2', CORDON_INFERENCE_PORT: String(port) } }
    const roles = ['respond-1', 'ingest-1', 'detect-1', 'console-1', 'node-1']
    deployment = await startDeployment({ names: roles, brokers: 1, smallDisk: false, environment, say: () => {} })
    key = (
      await deployment.api.post<{ key: string }>('/api/keys', { principal: 'alice', organization: null, expiresAt: null, by: 'tester' })
    ).key
    // So many that the kernel deals some to each.
    await until('both nodes know the key', async () =>
      (await Promise.all(Array.from({ length: 32 }, ask))).every((status) => status === 200),
    )
  })
  after(() => deployment?.stop())

  /** Over a connection of its own, which the kernel deals to one of them. */
  async function ask(): Promise<number> {
    const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json', connection: 'close' }
    const response = await fetch(`${url}/v2/models/digits/infer`, { method: 'POST', headers, body }).catch(() => undefined)
    await response?.arrayBuffer()
    return response?.status ?? 0
  }

  const alive = async () => {
    const { instances } = await deployment.api.get<InstanceStatus>('/api/status')
    return instances.flatMap(({ role, instance, alive }) => (role === 'node' && alive ? [instance] : [])).sort()
  }

  /** Nodes of which requests since then are stored. */
  async function seen(since: number): Promise<readonly string[]> {
    const sql = `SELECT DISTINCT node FROM requests WHERE time > fromUnixTimestamp64Milli(${since})`
    const { rows } = await deployment.api.post<{ rows: { node: string }[] }>('/api/query', { sql })
    return rows.map(({ node }) => node).sort()
  }

  it('are nodes of their own, and both answer on the port', async () => {
    await until('the heartbeats of both have come', async () => (await alive()).length === 2)
    assert.deepEqual(await alive(), names)
    for (let i = 0; i < 64; i++) assert.equal(await ask(), 200)
    await until('events of both are stored', async () => (await seen(0)).length === 2)
    assert.deepEqual(await seen(0), names)
  })

  it('enforce the same containment', async () => {
    const order = { target: 'principal:alice', action: 'throttle-principal', parameters: { requests: 1 } }
    const about = { forMs: 600_000, reason: 'a test', by: 'tester' }
    const { id } = await deployment.api.post<ContainmentView>('/api/containments', { ...order, ...about })
    await until('both acknowledged it', async () => {
      const { containments } = await deployment.api.get<{ containments: ContainmentView[] }>('/api/containments')
      const found = containments.find((one) => one.id === id)
      return new Set(found?.acknowledgements.map(({ node }) => node)).size === 2
    })
  })

  it('go on when one is killed, which is begun again', async () => {
    const [pid] = await processesOf('node-1-2')
    process.kill(pid ?? assert.fail('it does not run'), 'SIGKILL')
    const killedAt = Date.now()
    await until('another runs in its place', async () => {
      const [now] = await processesOf('node-1-2')
      return now !== undefined && now !== pid
    })
    assert.match(await answersOf(16), /^(200|429)( (200|429))*$/)
    await until('it answers again', async () => {
      await ask()
      return (await seen(killedAt)).length === 2
    })
    await until('it is told of', () => /ended by itself, and is begun again/.test(deployment.roles.get('node-1')?.log ?? ''))
  })

  async function answersOf(count: number): Promise<string> {
    const statuses: number[] = []
    for (let i = 0; i < count; i++) statuses.push(await ask())
    return statuses.join(' ')
  }

  it('end with it while they still wait for Kafka, too', async (t) => {
    const dir = await mkdtemp(join(tmpdir(), 'cordon-orphans-'))
    t.after(() => rm(dir, { recursive: true, force: true }))
    const environment = {
      CORDON_DATA_DIR: dir,
      CORDON_SECRETS_FILE: writeSecrets(join(dir, 'secrets')).node,
      CORDON_BUS_ADAPTER: 'kafka',
      CORDON_BUS_BROKERS: JSON.stringify([`127.0.0.1:${await freePort()}`]),
      CORDON_INFERENCE_NODE: 'orphan',
      CORDON_INFERENCE_PORT: String(await freePort()),
      CORDON_INFERENCE_PROCESSES: '2',
    }
    const parent = spawn(process.execPath, [binary, 'node'], { env: { ...process.env, ...environment }, stdio: 'ignore' })
    const orphans = ['orphan-1', 'orphan-2']
    const running = async () => (await Promise.all(orphans.map(processesOf))).flat().length
    await until('both began', async () => (await running()) === 2)
    parent.kill('SIGKILL')
    await until('both ended', async () => (await running()) === 0, 30_000)
  })

  it('stop with the process that began them, in order or not', async () => {
    const node = deployment.roles.get('node-1') ?? assert.fail('no node')
    assert.equal(await node.stop(), 0, node.log.slice(-2_000))
    for (const name of names) assert.deepEqual(await processesOf(name), [])
    await node.start()
    await until('both run', async () => (await Promise.all(names.map(processesOf))).every(({ length }) => length === 1))
    await node.kill()
    await until('both are gone', async () => (await Promise.all(names.map(processesOf))).every(({ length }) => length === 0), 30_000)
  })
})
