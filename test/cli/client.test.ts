import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'
import { TOTP } from 'otpauth'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type ClientOptions, openClient } from '../../cli/client.ts'
import { Config } from '../../cli/config/schema.ts'
import { openAccounts } from '../../cli/instance/accounts.ts'
import { createConsole } from '../../console/server.ts'
import { at, fakePorts } from '../console/ports.ts'

const id = 'principal:mallory/throttle-principal'

/** A console with an account, and a client that has its token. */
async function open(t: TestContext, options: Partial<ClientOptions> = {}) {
  const dataDir = mkdtempSync(join(tmpdir(), 'cordon-client-'))
  const accounts = openAccounts({ dataDir, access: Config.parse({}).access })
  const { token } = accounts.administrators.create({ name: 'olga', capabilities: ['administration'], roles: [], expiresAt: null }, at)
  const { secret } = accounts.administrators.enrol('olga')
  const shown = (timestamp: number) => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp })
  accounts.administrators.confirm('olga', shown(at - 30_000), at)
  const ports = fakePorts()
  const access = { accounts, clock: () => at }
  const app = await createConsole({ ports, token: 'x'.repeat(32), access, registry: new Registry(), log: pino({ level: 'silent' }) })
  const url = await app.listen({ port: 0, host: '127.0.0.1' })
  t.after(async () => {
    await app.close()
    rmSync(dataDir, { recursive: true })
  })
  const as = (more: Partial<ClientOptions>) => openClient({ dataDir, url, token, ...more })
  return { ports, code: shown(at), as, client: as(options) }
}

it('sends the code that it was given, and says how to give one', async (t) => {
  const { code, ports, client, as } = await open(t)
  const release = (otp?: string) => as({ otp }).post('/api/containments/release', { id })
  await assert.rejects(client.post('/api/containments/release', { id }), { message: /authenticator.*--otp CODE, or CORDON_OTP/ })
  await assert.rejects(release('000000'), { code: 'REFUSED', message: /does not count/ })
  assert.deepEqual(ports.calls, [])
  await release(code)
  assert.deepEqual(ports.calls, [['release', id, 'olga']])
})

it('asks the person for a code when one is needed, and once', async (t) => {
  const asked: string[] = []
  let answer = '000000'
  const askOtp = async () => {
    asked.push(answer)
    return answer
  }
  const { client, code, ports } = await open(t, { askOtp })
  await client.get('/api/keys')
  assert.deepEqual(asked, [])
  await assert.rejects(client.post('/api/containments/release', { id }), { code: 'REFUSED', message: /does not count/ })
  answer = code
  await client.post('/api/containments/release', { id })
  assert.deepEqual(asked, ['000000', code])
  // The door is open now.
  await client.post('/api/containments/release', { id })
  assert.equal(asked.length, 2)
  assert.deepEqual(ports.calls.at(-1), ['release', id, 'olga'])
})

it('asks nobody where a code would not help', async (t) => {
  const { client } = await open(t, { askOtp: () => assert.fail('asked') })
  await assert.rejects(client.post('/api/models/promote', { model: 'digits', version: '3' }), { message: /needs the capability promotion/ })
})
