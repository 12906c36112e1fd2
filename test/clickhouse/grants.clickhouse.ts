import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { listQueries } from '../../store/library.ts'
import { until } from '../bus/until.ts'
import { flow, request, Story, start } from '../store/story.ts'
import { spawnEngine } from './engine-process.ts'
import { storeAt } from './factory.ts'
import { freePort } from './free-port.ts'

const page = new URL('../../docs/operating.md', import.meta.url)

/** Those that the operator's page has people give. */
async function grants(): Promise<string[]> {
  return [...(await readFile(page, 'utf8')).matchAll(/^(GRANT .*) TO cordon;$/gm)].map(([, grant = '']) => grant)
}

it('is enough for Cordon to be granted what the operator’s page says', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'cordon-grants-'))
  const user = (name: string, password: string, inner = '') =>
    `<${name}><password>${password}</password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>${inner}</${name}>`
  const given = (await grants()).map((grant) => `<query>${grant}</query>`)
  assert.ok(given.length > 3)
  const users = `<users>${user('default', '')}${user('cordon', 'given', `<grants>${given.join('')}</grants>`)}</users>`
  await writeFile(
    join(directory, 'users.xml'),
    `<clickhouse><profiles><default/></profiles><quotas><default/></quotas>${users}</clickhouse>`,
  )
  await writeFile(join(directory, 'config.xml'), `<clickhouse><users_config>${join(directory, 'users.xml')}</users_config></clickhouse>`)
  const port = await freePort()
  const { child } = await spawnEngine(join(directory, 'data'), port, ['--config-file', join(directory, 'config.xml')])
  t.after(async () => {
    child.kill('SIGKILL')
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })
  const url = `http://127.0.0.1:${port}`
  await until('the engine answers', () =>
    fetch(`${url}/ping`).then(
      ({ ok }) => ok,
      () => false,
    ),
  )
  const store = await storeAt(url, 'cordon', { username: 'cordon', password: 'given' })
  try {
    await store.migrate()
    const story = new Story()
    const id = story.tell('request', start, request)
    story.tell('flow', start, flow)
    await story.store(store)
    await store.settled()
    assert.deepEqual(await store.known('requests', [id]), new Set([id]))
    for (const { name, example } of listQueries()) await store.query(name, example)
    assert.equal((await store.sql('SELECT count() AS n FROM flows')).rows.length, 1)
    await store.sql("SELECT sum(rows) AS n FROM system.parts WHERE database = 'cordon'")
    await assert.rejects(store.client.command({ query: 'CREATE TABLE default.mine (n UInt8) ENGINE = MergeTree ORDER BY n' }), {
      code: '497',
    })
  } finally {
    await store.close()
  }
})
