import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { it } from 'node:test'
import { Command } from 'commander'
import { TOTP } from 'otpauth'
import { accountsCommand } from '../../cli/commands/accounts.ts'

it('accounts are made, given a second factor, listed and revoked', async (t) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'cordon-accounts-'))
  t.after(() => rmSync(dataDir, { recursive: true }))
  const cordon = async (...args: readonly string[]): Promise<Record<string, unknown>[]> => {
    const lines: string[] = []
    const { mock } = t.mock.method(process.stdout, 'write', (text: string) => lines.push(text) > 0)
    const program = new Command()
    accountsCommand(program.command('accounts'))
    await program.parseAsync(['node', 'cordon', 'accounts', ...args, '--json', '--data-dir', dataDir]).finally(() => mock.restore())
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Record<string, unknown>)
  }
  const [made] = await cordon('create', 'olga', '--capability', 'administration', '--capability', 'promotion', '--expires', '90d')
  assert.match(String(made?.['token']), /^cordon_acct_/)
  const [begun] = await cordon('enrol', 'olga')
  await assert.rejects(cordon('enrol', 'olga', '--otp', '000000'), { code: 'CODE_REFUSED' })
  const code = new TOTP({ secret: String(begun?.['secret']), algorithm: 'SHA1', digits: 6, period: 30 }).generate()
  await cordon('enrol', 'olga', '--otp', code)
  const [listed] = await cordon('list')
  assert.deepEqual(
    [listed?.['name'], listed?.['capabilities'], listed?.['secondFactor']],
    ['olga', ['administration', 'promotion'], 'enrolled'],
  )
  await cordon('reset-totp', 'olga')
  assert.equal((await cordon('list'))[0]?.['secondFactor'], 'none')
  await cordon('revoke', 'olga')
  assert.equal(typeof (await cordon('list'))[0]?.['revokedAt'], 'number')
  await assert.rejects(cordon('create', 'eve'), { code: 'USAGE' })
  await assert.rejects(cordon('create', 'eve', '--capability', 'inference'), { code: 'USAGE' })
})
