import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { text } from 'node:stream/consumers'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { ContainmentView, DeadLetterView, InstanceStatus } from '../../console/port.ts'
import { loadMnist } from '../../inference/datasets/mnist.ts'
import { type RoleName, uuidv7 } from '../../schemas/index.ts'
import { boundaryAttack } from '../attacks/boundary.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import type { Answer } from '../attacks/oracle.ts'
import { seeded } from '../attacks/random.ts'
import { until } from '../bus/until.ts'
import { freePort } from '../clickhouse/free-port.ts'
import { type Deployment, startDeployment } from '../faults/deployment.ts'
import { parseLines } from './cordon.ts'

const binary = fileURLToPath(new URL('../../bin/cordon.js', import.meta.url))
const names = ['node-1', 'node-2', 'ingest-1', 'detect-1', 'respond-1', 'console-1']
const lease = 'principal:prober/throttle-principal'
const images = loadMnist('test').images
const image = (i: number) => images.subarray(i * 784, (i + 1) * 784)

let deployment: Deployment
/** Ids of requests that were answered in full. */
const answered = new Set<string>()

/** As an operator: the real binary, and a token in the environment. */
async function cordon(...args: readonly string[]): Promise<{ code: number | null; out: string; err: string }> {
  const url = deployment.roles.get('console-1')?.url ?? assert.fail('no console')
  const environment = { ...process.env, CORDON_TOKEN: deployment.token, USER: 'tester' }
  const child = spawn(process.execPath, [binary, ...args, '--url', url], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const [out, err, code] = await Promise.all([text(child.stdout), text(child.stderr), ended])
  return { code, out, err }
}

async function told(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await cordon(...args)
  assert.equal(code, 0, `cordon ${args.join(' ')}: ${err}${out}`)
  return out
}

const node = (name: string, key: string) =>
  httpOracle({ url: deployment.roles.get(name)?.url ?? assert.fail(name), model: 'digits', key: () => key, onId: (id) => answered.add(id) })

describe('every role in a process of its own, with no rights but its own', () => {
  let key: string
  let metricsPort: number

  before(async () => {
    metricsPort = await freePort()
    const environment = { 'node-2': { CORDON_METRICS_PORT: String(metricsPort) } }
    deployment = await startDeployment({ names, brokers: 1, secured: true, smallDisk: false, environment, say: () => {} })
  })
  after(() => deployment?.stop())

  it('says that all is well', async () => {
    await until('all is well', async () => (await cordon('status')).code === 0)
    const status = JSON.parse(await told('status', '--json')) as InstanceStatus
    assert.deepEqual(status.instances.map(({ instance }) => instance).sort(), [...names].sort())
    assert.ok(status.instances.every(({ alive }) => alive))
    const owned = parseLines<{ role: RoleName; owner: string | null }>(await told('status', '--partitions', '--json'))
    assert.deepEqual([...new Set(owned.map(({ owner }) => owner))].sort(), ['detect-1', 'ingest-1', 'respond-1'])
  })

  it('makes a key that every node takes', async () => {
    key = /cordon_\w+/.exec(await told('keys', 'create', '--principal', 'prober'))?.[0] ?? assert.fail('no key')
    for (const name of ['node-1', 'node-2']) {
      await until(`${name} knows the key`, async () => !(await node(name, key).query(image(0))).refused)
    }
  })

  it('contains an attack that is spread over both nodes, on both', async () => {
    const random = seeded(4)
    let turn = 0
    let refusal: Answer | undefined
    const query = async (input: Float32Array): Promise<Answer> => {
      const answer = await node(turn++ % 2 === 0 ? 'node-1' : 'node-2', key).query(input)
      if (answer.refused) refusal ??= answer
      return answer
    }
    const first = await query(image(0))
    assert.ok(!first.refused)
    let other = 1
    for (;;) {
      const answer = await query(image(other))
      if (!answer.refused && answer.label !== first.label) break
      other++
    }
    await boundaryAttack({ query }, { source: image(0), label: first.label }, { random, budget: 2_000, start: image(other) })
    assert.equal(refusal?.refused === true && refusal.status, 429)
    await until('both nodes acknowledged it', async () => {
      const { containments } = await deployment.api.get<{ containments: ContainmentView[] }>('/api/containments')
      const found = containments.find(({ id }) => id === lease)
      return found?.awaiting.length === 0 && new Set(found.acknowledgements.map((each) => each.node)).size === 2
    })
    for (const name of ['node-1', 'node-2']) {
      const answers = [await node(name, key).query(image(2)), await node(name, key).query(image(3))]
      assert.ok(answers.at(-1)?.refused, `${name} goes on answering`)
    }
    const shown = await told('containments', 'show', lease)
    assert.match(shown, /the last of the nodes that answered enforced it \S+ m?s after the deciding event/)
    assert.match(shown, /^node-1 .*\nnode-2 |^node-2 .*\nnode-1 /m)
  })

  it('tells an operator what it tells no client', async () => {
    const family = 'cordon_leases_active'
    const metrics = async (url: string) => (await fetch(`${url}/metrics`)).text()
    assert.match(await metrics(`http://127.0.0.1:${metricsPort}`), new RegExp(`^${family}\\{action="throttle-principal"\\} 1$`, 'm'))
    assert.ok(!(await metrics(deployment.roles.get('node-2')?.url ?? assert.fail())).includes(family))
  })

  it('carries out the order of a person, and says who gave it', async () => {
    await told('containments', 'release', lease)
    const released = JSON.parse(await told('containments', 'show', lease, '--json')) as ContainmentView
    assert.deepEqual([released.state, released.endedBy], ['released', 'person:tester'])
  })

  it('keeps what it cannot read, and takes it again when that is mended', async () => {
    const collector = deployment.roles.get('ingest-1')?.url ?? assert.fail('no collector')
    const post = (body: string, token = deployment.token) =>
      fetch(`${collector}/v1/flows`, {
        method: 'POST',
        headers: { authorization: `Bearer ${token}`, 'content-type': 'application/x-ndjson' },
        body,
      })
    const stranger = await post('{}', 'x'.repeat(43))
    assert.deepEqual([stranger.status, stranger.headers.get('content-type')?.split(';')[0]], [401, 'application/problem+json'])
    const answer = await post('{"workload":"w"}\n')
    assert.deepEqual([answer.status, ((await answer.json()) as { rejected: unknown[] }).rejected.length], [202, 1])
    // Nothing mends this one: it is read where it stands, and put on its topic again as it is.
    const bus = await deployment.openBus('test')
    const id = uuidv7(Date.now(), crypto.getRandomValues(new Uint8Array(10)))
    const headers = { ce_specversion: '1.0', ce_id: id, ce_source: '\u001b[31mx', ce_type: 'dev.cordon.flow', ce_time: 'never' }
    await bus.publish([{ topic: 'flows', key: 'w', value: Buffer.from('{}'), headers, timestamp: Date.now() }])
    await bus.close()
    const list = async () => parseLines<DeadLetterView>(await told('dead-letters', 'list', '--topic', 'flows', '--json'))
    await until('both are dead letters', async () => (await list()).length >= 2)
    const letters = await list()
    const rejected = letters.find(({ offset }) => offset < 0) ?? assert.fail('none that was rejected')
    const unread = letters.find(({ offset }) => offset >= 0) ?? assert.fail('none that was not read')
    const shown = await told('dead-letters', 'show', unread.id)
    assert.ok(shown.includes('ce_source: \\u{1b}[31mx') && !shown.includes('\u001b'), shown)
    assert.match((await cordon('dead-letters', 'replay', rejected.id)).err, /the intake rejects it still/)
    assert.match(await told('dead-letters', 'replay', unread.id), /^published again: flows\/\d@\d+$/m)
  })

  it('stores every answer once, and knows of no gap but what it could not read', async () => {
    const asked = async (...args: readonly string[]) => parseLines<Record<string, string>>(await told('query', ...args, '--json'))
    const stored = async () => {
      const rows = await asked('--sql', "SELECT id FROM requests WHERE principal = 'prober' AND outcome = 'served'")
      return rows.map(({ id }) => id).sort()
    }
    await until('every answer is stored', async () => (await stored()).length >= answered.size)
    assert.ok(answered.size > 10)
    assert.deepEqual(await stored(), [...answered].sort())
    const [began] = await asked(
      '--sql',
      "SELECT toString(toUnixTimestamp64Milli(min(time))) AS at FROM requests WHERE principal = 'prober'",
    )
    const since = ['--param', `from=${new Date(Number(began?.['at'])).toISOString()}`]
    assert.deepEqual(await asked('unseen', '--param', 'principal=prober', ...since), [])
    assert.ok((await asked('unseen', '--param', 'workload=w', ...since)).every(({ kind }) => kind === 'unreadable'))
    // Nobody was there the day before, and that is said.
    const [before, ...others] = await asked('unseen', '--param', 'principal=prober')
    assert.deepEqual([before?.['kind'], others], ['unknown', []])
  })

  it('stops in order, each with 0, and has told nobody a secret', async () => {
    const { roles, cluster, token } = deployment
    const order: readonly RoleName[] = ['node', 'console', 'ingest', 'detect', 'respond']
    for (const role of order) {
      for (const process of [...roles.values()].filter((each) => each.role === role)) {
        assert.equal(await process.stop(), 0, `${process.name}:\n${process.log.slice(-2_000)}`)
      }
    }
    const logs = [...roles.values()].map(({ log }) => log).join('\n')
    const passwords = order.map((role) => cluster.security?.login(`cordon-${role}`).password ?? assert.fail(role))
    for (const secret of [...passwords, token, key.split('_')[2] ?? assert.fail()]) assert.ok(!logs.includes(secret))
    assert.doesNotMatch(logs, /BUS_FORBIDDEN/)
  })
})
