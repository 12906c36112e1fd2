import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { inspect } from 'node:util'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { Config } from '../../cli/config/schema.ts'
import { CliError } from '../../cli/errors.ts'
import { openNodeSecrets, openToken, rotateFingerprintKey, writeSecrets } from '../../cli/instance/secrets.ts'
import { startInstance } from '../../cli/instance/start.ts'
import { lagOf } from '../../cli/instance/status.ts'
import { topics } from '../../schemas/index.ts'
import { temporaryDataDir } from '../end-to-end/instance.ts'
import { flow } from './flow.ts'

it('makes secrets once, and says so rather than go on with torn ones', (t) => {
  const dataDir = temporaryDataDir(t)
  const config = Config.parse({ dataDir })
  const open = () => ({ ...openNodeSecrets(config), token: openToken(config) })
  const made = open()
  assert.deepEqual(open(), made)
  const torn: readonly [file: string, text: string][] = [
    ['token', ''],
    ['token', '\n'],
    ['token', made.token.slice(0, 20)],
    ['secrets.json', ''],
    ['secrets.json', '{"addressKey":"'],
    ['secrets.json', '{"addressKey":"","fingerprintKey":"","fingerprintEpoch":0}'],
  ]
  for (const [file, text] of torn) {
    writeFileSync(join(dataDir, file), text)
    assert.throws(open, (error) => error instanceof CliError && error.code === 'START_FAILED', `${file}: ${JSON.stringify(text)}`)
    writeFileSync(join(dataDir, 'token'), `${made.token}\n`)
  }
})

it('quotes nothing of a secret that it cannot read', (t) => {
  const dataDir = temporaryDataDir(t)
  const secretsFile = join(dataDir, 'raw')
  // The token itself, where the file around it is wanted: JSON.parse would quote the first ten characters of it.
  writeFileSync(secretsFile, 'q7Xw0pZk3mT9sVb2')
  for (const open of [openNodeSecrets, openToken]) {
    assert.throws(
      () => open(Config.parse({ dataDir, secretsFile })),
      (error) => error instanceof CliError && /is no JSON/.test(error.message) && !/q7Xw/.test(inspect(error)),
    )
  }
})

it('rotates the key of fingerprints, and leaves that of addresses', (t) => {
  const dataDir = temporaryDataDir(t)
  const config = Config.parse({ dataDir })
  const before = openNodeSecrets(config)
  assert.equal(rotateFingerprintKey(join(dataDir, 'secrets.json')).epoch, 1)
  const after = openNodeSecrets(config)
  assert.equal(after.fingerprintEpoch, 1)
  assert.notDeepEqual(after.fingerprintKey, before.fingerprintKey)
  assert.deepEqual(after.addressKey, before.addressKey)
  assert.throws(() => rotateFingerprintKey(join(dataDir, 'none.json')), { code: 'START_FAILED' })
})

it('makes secrets that several processes share, and never over old ones', (t) => {
  const dataDir = temporaryDataDir(t)
  const files = writeSecrets(join(dataDir, 'shared'))
  const of = (name: string, secretsFile: string) => Config.parse({ dataDir: join(dataDir, name), secretsFile })
  assert.deepEqual(openNodeSecrets(of('a', files.node)), openNodeSecrets(of('b', files.node)))
  assert.equal(openToken(of('c', files.api)), openToken(of('d', files.api)))
  assert.throws(() => openToken(of('a', files.node)), /token/)
  assert.throws(() => writeSecrets(join(dataDir, 'shared')), /is there already/)
})

it('makes no secrets in a directory that another process has', async (t) => {
  const dataDir = temporaryDataDir(t)
  const theirs = await createEmbeddedBus({ path: join(dataDir, 'log') })
  t.after(() => theirs.close())
  await assert.rejects(startInstance(Config.parse({ dataDir, log: { level: 'silent' } }), 'test'), /BUS_LOCKED|has it open/)
  assert.deepEqual([existsSync(join(dataDir, 'secrets.json')), existsSync(join(dataDir, 'token'))], [false, false])
})

it('counts as behind only what somebody reads', async (t: TestContext) => {
  const bus = await createEmbeddedBus({ path: join(temporaryDataDir(t), 'log') })
  t.after(() => bus.close())
  await bus.ensureTopics(Object.values(topics))
  const published = await bus.publish([1, 2, 3].map((at) => encode('flows', newEvent('flow', flow, 'test', at))))
  const partition = published[0]?.partition ?? -1
  assert.deepEqual(await lagOf(bus, ['flows', 'fingerprints']), { sink: 3, detect: 3, respond: 0 })
  assert.deepEqual(await lagOf(bus, ['fingerprints']), { sink: 3, detect: 0, respond: 0 }, 'the flows detector is switched off')
  const committed = Promise.withResolvers<void>()
  const sink = await bus.consume({
    group: 'sink',
    topics: ['flows'],
    onBatch: (batch, control) => control.commit(2).then(committed.resolve),
  })
  await committed.promise
  await sink.close()
  assert.ok((await bus.groups()).some((g) => g.group === 'sink' && g.partition === partition && g.committed === 2))
  assert.deepEqual(await lagOf(bus, []), { sink: 1, detect: 0, respond: 0 })
})
