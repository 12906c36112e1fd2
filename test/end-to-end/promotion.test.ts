import assert from 'node:assert/strict'
import { it } from 'node:test'
import { TOTP } from 'otpauth'
import { type ClientOptions, openClient } from '../../cli/client.ts'
import { Config } from '../../cli/config/schema.ts'
import { openAccounts } from '../../cli/instance/accounts.ts'
import type { Model } from '../../schemas/index.ts'
import { startInstance, temporaryDataDir } from './instance.ts'

it('a person with the right for it promotes a version by a code, and the next request is served by it', { timeout: 120_000 }, async (t) => {
  const instance = await startInstance({ dataDir: temporaryDataDir(t) })
  const { key } = await instance.createKey('alice')
  const served = async () => {
    const answer = await fetch(`${instance.inference}/v2/models/digits/infer`, {
      method: 'POST',
      headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: Array(784).fill(0) }] }),
    })
    return ((await answer.json()) as { model_version?: string }).model_version
  }
  // The process is running; accounts that are made beside it count at once.
  const { administrators } = openAccounts(Config.parse({ dataDir: instance.dataDir }))
  const { token } = administrators.create({ name: 'pat', capabilities: ['promotion'], roles: [], expiresAt: null }, Date.now())
  const { secret } = administrators.enrol('pat')
  const code = (timestamp: number) => new TOTP({ secret, algorithm: 'SHA1', digits: 6, period: 30 }).generate({ timestamp })
  administrators.confirm('pat', code(Date.now()), Date.now())

  const { models } = await instance.api<{ models: Model[] }>('/api/models')
  const digits = models.find(({ name }) => name === 'digits')
  const now = digits?.current
  const other = digits?.versions.find(({ version }) => version !== now)?.version
  assert.ok(now !== undefined && other !== undefined)
  assert.equal(await served(), now)

  const promote = (version: string, as: Partial<ClientOptions> = {}) =>
    openClient({ dataDir: instance.dataDir, ...as }).post<Model>('/api/models/promote', { model: 'digits', version })
  await assert.rejects(promote(other), /needs the capability promotion/)
  await assert.rejects(promote(other, { token }), /authenticator.*--otp CODE/)
  assert.equal(await served(), now)
  // The next code counts already, and that of now is used up.
  const made = await promote(other, { token, otp: code(Date.now() + 30_000) })
  assert.equal(made.current, other)
  assert.equal(await served(), other)
  await assert.rejects(promote('99', { token }), /No node says that it has version 99/)
  assert.equal(await instance.stop(), 0)
})
