import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { Config } from '../../cli/config/schema.ts'
import { openCallers } from '../../cli/instance/callers.ts'
import { Closers } from '../../cli/instance/closers.ts'
import { openIssuingKeys } from '../access/issuing.ts'
import { audience, openProvider } from '../access/provider.ts'
import { MemoryBus } from '../inference/memory-bus.ts'

const log = pino({ level: 'silent' })

test('what is configured under access is who may call', async (t) => {
  const provider = await openProvider()
  const keys = await openIssuingKeys({ bus: new MemoryBus(), clock: Date.now, source: 'test' })
  const closers = new Closers()
  t.after(async () => {
    await closers.closeAll(log)
    await keys.close()
    await provider.close()
  })
  const access = {
    issuers: [{ alias: 'idp', issuer: provider.issuer, audience, scopes: ['infer'] }],
    certificates: [{ commonName: 'batch', principal: 'batch' }],
    failures: { perMinute: 1 },
  }
  const context = { config: Config.parse({ access }), clock: Date.now, registry: new Registry(), log, closers, warn: () => () => {} }
  const callers = openCallers(context, { addressKey: new Uint8Array(32) }, { keys })
  const ask = async (bearer: string | undefined, address = '192.0.2.1') => {
    const span = { validFrom: 0, validTo: Date.now() + 60_000 }
    const certificate = { fingerprint: 'ab'.repeat(32), serial: '1', commonName: 'batch', alternativeNames: [], ...span }
    const answer = await callers.authenticate({ bearer, address, origin: undefined, certificate }, Date.now())
    return answer.ok ? answer.identity.principal : answer.reason
  }
  const { key } = await keys.create({ principal: 'alice' })
  assert.deepEqual([await ask(await provider.token()), await ask(key), await ask(undefined)], ['idp:batch', 'alice', 'batch'])
  assert.equal(await ask(await provider.sign()), 'bad-claims', 'it has no scope')
  assert.equal(await ask(key), 'too-many-failures')
  assert.equal(await ask(key, '192.0.2.2'), 'alice')
})

for (const [what, section] of [
  [
    'two issuers of one alias',
    { access: { issuers: ['https://a.example', 'https://b.example'].map((issuer) => ({ alias: 'x', issuer, audience })) } },
  ],
  ['one issuer twice', { access: { issuers: ['a', 'b'].map((alias) => ({ alias, issuer: 'https://a.example', audience })) } }],
  ['an issuer without an audience', { access: { issuers: [{ alias: 'x', issuer: 'https://a.example' }] } }],
  ['clients’ certificates without their authority', { inference: { tls: { certFile: 'c', keyFile: 'k', clientAuth: 'required' } } }],
] as const)
  test(`${what} cannot be configured`, () => {
    assert.equal(Config.safeParse(section).success, false)
  })
