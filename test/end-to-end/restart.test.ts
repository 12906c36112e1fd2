import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import type { ContainmentView } from '../../console/port.ts'
import { startInstance, temporaryDataDir, until } from './instance.ts'

const blank = { inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: new Array(784).fill(0) }] }

async function infer(inference: string, key: string): Promise<Response> {
  const response = await fetch(`${inference}/v2/models/digits/infer`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify(blank),
  })
  await response.clone().arrayBuffer()
  return response
}

it('goes on where it stopped: keys, leases and the log are still there', async (t) => {
  const dataDir = temporaryDataDir(t)
  const first = await startInstance({ dataDir })
  const [made] = await first.cordon<{ keyId: string; key: string; principal: string }>(
    'keys',
    'create',
    '--principal',
    'alice',
    '--organization',
    'acme',
  )
  assert.deepEqual(Object.keys(made ?? {}).filter((name) => ['keyId', 'key', 'principal'].includes(name)).length, 3)
  const key = made?.key ?? ''
  assert.equal((await infer(first.inference, key)).status, 200)
  await first.cordon('contain', 'principal:alice', '--action', 'deny-principal', '--for', '1h', '--reason', 'a test', '--by', 'tester')
  await until('the denial is enforced', async () => ((await infer(first.inference, key)).status === 403 ? true : undefined))
  assert.equal(await first.stop(), 0, first.log())

  const second = await startInstance({ dataDir })
  assert.equal((await infer(second.inference, key)).status, 403, 'the lease holds from the first request on')
  const [lease] = await second.cordon<ContainmentView>('containments')
  assert.deepEqual(
    [lease?.target, lease?.action, lease?.state, lease?.owner],
    ['principal:alice', 'deny-principal', 'active', 'person:tester'],
  )
  const [released] = await second.cordon<ContainmentView>('containments', 'release', 'principal:alice/deny-principal', '--by', 'tester')
  assert.equal(released?.state, 'released')
  await until('the release is enforced', async () => ((await infer(second.inference, key)).status === 200 ? true : undefined))
  const served = await until('both answers are in the store', async () => {
    const rows = await second.cordon<{ n: string }>(
      'query',
      '--sql',
      "SELECT count() AS n FROM requests WHERE principal = 'alice' AND outcome = 'served'",
    )
    return Number(rows[0]?.n) >= 2 ? rows : undefined
  })
  assert.ok(Number(served[0]?.n) >= 2)
})

it('keeps its secrets to its owner and out of its log, and refuses a second process on its data', async (t) => {
  const dataDir = temporaryDataDir(t)
  const instance = await startInstance({ dataDir, args: ['--log-level', 'trace'] })
  for (const file of ['token', 'secrets.json']) assert.equal(statSync(join(dataDir, file)).mode & 0o077, 0, file)
  const { key } = await instance.createKey('bob')
  assert.equal((await infer(instance.inference, key)).status, 200)
  assert.equal((await infer(instance.inference, `${key}x`)).status, 401)
  assert.equal(instance.log().includes(key), false, 'the key is in the log')
  await assert.rejects(startInstance({ dataDir }), /BUS_LOCKED|in use|another process|pid/i)
})

it('rotates a key: the old one dies after the overlap, and its owner fetches the new one, once', async (t) => {
  const dataDir = temporaryDataDir(t)
  const instance = await startInstance({ dataDir })
  const { key: old } = await instance.createKey('carol')
  const [rotation] = await instance.cordon<{ successors: string[] }>('keys', 'rotate', 'carol', '--overlap', '2s')
  assert.equal(rotation?.successors.length, 1)
  assert.equal((await infer(instance.inference, old)).status, 200, 'the old key works during the overlap')
  const [claimed] = await instance.cordon<{ key: string }>('keys', 'claim', 'carol')
  assert.equal((await infer(instance.inference, claimed?.key ?? '')).status, 200)
  await assert.rejects(instance.cordon('keys', 'claim', 'carol'), /waits to be claimed/)
  await until('the old key is dead', async () => ((await infer(instance.inference, old)).status === 401 ? true : undefined))
  assert.equal((await infer(instance.inference, claimed?.key ?? '')).status, 200)
})

it('serves the last good version while a roll back holds, and drains a quarantined pool', async (t) => {
  const dataDir = temporaryDataDir(t)
  const instance = await startInstance({ dataDir })
  const { key } = await instance.createKey('dave')
  const version = async () => ((await (await infer(instance.inference, key)).json()) as { model_version?: string }).model_version
  assert.equal(await version(), '2')
  await instance.cordon('contain', 'model:digits', '--action', 'rollback-model', '--for', '10m', '--reason', 'a test')
  await until('version 1 answers', async () => ((await version()) === '1' ? true : undefined))
  await instance.cordon('containments', 'release', 'model:digits/rollback-model')
  await until('version 2 answers again', async () => ((await version()) === '2' ? true : undefined))
  for (const pool of ['gpu-a', 'gpu-b'])
    await instance.cordon('contain', `pool:${pool}`, '--action', 'quarantine-pool', '--for', '10m', '--reason', 'a test')
  const refused = await until('no pool is left', async () => {
    const response = await infer(instance.inference, key)
    return response.status === 503 ? response : undefined
  })
  assert.ok(Number(refused.headers.get('retry-after')) > 0)
  await instance.cordon('containments', 'release', 'pool:gpu-a/quarantine-pool')
  await until('the other pool serves on', async () => ((await infer(instance.inference, key)).status === 200 ? true : undefined))
})

it('says what is wrong and what to do', async (t) => {
  const dataDir = temporaryDataDir(t)
  const instance = await startInstance({ dataDir })
  const refused: readonly [args: string[], expected: RegExp][] = [
    [['contain', 'planet:x', '--action', 'deny-principal', '--for', '1m', '--reason', 'r'], /kind:id/],
    [['contain', 'principal:x', '--action', 'explode', '--for', '1m', '--reason', 'r'], /throttle-principal/],
    [['contain', 'principal:x', '--action', 'deny-principal', '--for', 'soon', '--reason', 'r'], /duration/],
    [['query', 'no-such-query'], /no-such-query/],
    [['query', '--sql', 'DROP TABLE requests'], /read|SELECT/i],
    [['query', '--sql', "SELECT * FROM file('/etc/passwd')"], /file/i],
    [['keys', 'create', '--principal', 'a b'], /principal/],
    [['keys', 'revoke', 'nope'], /no key/],
    [['containments', 'release', 'principal:x/throttle-principal'], /no active containment/],
    [['incidents', 'show', 'ffffff'], /no incident/],
  ]
  for (const [args, expected] of refused) {
    await assert.rejects(instance.cordon(...args), (error: Error & { code?: number; stderr?: string }) => {
      assert.ok(error.code === 1 || error.code === 2, `${args.join(' ')}: exit ${error.code}`)
      assert.match(error.stderr ?? '', expected, args.join(' '))
      assert.doesNotMatch(error.stderr ?? '', /\bat .*\.ts:\d+/, 'a stack trace is no message')
      return true
    })
  }
  const topics = await instance.cordon<{ topic: string }>('topics')
  assert.ok(topics.some((topic) => topic.topic === 'fingerprints'))
  const queries = await instance.cordon<{ name: string }>('query')
  assert.ok(queries.length >= 8)
  const [status] = await instance.cordon<{ roles: { role: string; ok: boolean }[] }>('status')
  assert.deepEqual(
    status?.roles.filter((role) => !role.ok),
    [],
  )
})
