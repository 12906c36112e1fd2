import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Command } from 'commander'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { policyCommand } from '../../cli/commands/policy.ts'
import { Config } from '../../cli/config/schema.ts'
import { Closers } from '../../cli/instance/closers.ts'
import { openPolicy } from '../../cli/instance/policy.ts'
import { defaultFolder } from '../../policy/directory.ts'
import { ask } from '../policy/given.ts'

/** A configuration, and a folder of its own with policies that are given. */
let folder: string
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'cordon-policy-'))
})
after(() => rmSync(folder, { recursive: true }))

function write(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

async function run(...args: readonly string[]) {
  const lines: string[] = []
  const program = new Command().exitOverride()
  policyCommand(program.command('policy'), (line) => lines.push(line))
  const before = process.exitCode
  process.exitCode = 0
  try {
    await program.parseAsync(['policy', ...args], { from: 'user' })
    return { code: process.exitCode, out: lines.join('\n') }
  } finally {
    process.exitCode = before
  }
}

describe('cordon policy', () => {
  it('validates the default set', async () => {
    const { code, out } = await run('validate', '--json')
    const { files, ...told } = JSON.parse(out)
    assert.deepEqual([code, told.valid, told.policies, files.length], [0, true, 9, 3])
  })

  it('tells the place of what is not valid, and how a case was decided otherwise', async () => {
    write('a.cedar', '@id("all")\npermit (principal, action, resource)\nwhen { context.nope };')
    const invalid = await run('validate', folder)
    assert.equal(invalid.code, 1)
    assert.match(invalid.out, /^error: .*a\.cedar:3:8: all: attribute `nope`/)
    await assert.rejects(run('test', folder), { code: 'USAGE' }, 'there are no cases')

    write('a.cedar', '@id("all") permit (principal, action, resource);')
    write('a.tests.json', JSON.stringify([{ name: 'mallory may not', principal: 'mallory', allowed: false }]))
    const failed = await run('test', folder)
    assert.equal(failed.code, 1)
    assert.match(failed.out, /mallory may not {2}allowed {3}all {2}FAILED: expected denied, was allowed by all/)
    write('a.tests.json', '[{"name": "x"}]')
    await assert.rejects(run('test', folder), { code: 'CASES_INVALID', message: /a\.tests\.json: 0\.allowed/ })
  })

  it('explains a decision by the policies that made it, with the labels that are configured', async () => {
    const config = write('c.yaml', 'models: { digits: { labels: { sensitivity: restricted, owner: acme } } }')
    const denied = await run('explain', '--config', config, '--principal', 'alice', '--model', 'digits', '--role', 'restricted-data')
    assert.equal(denied.code, 1)
    assert.match(denied.out, /^DENIED: alice infer digits \(cedar, version [0-9a-f]{16}\)/)
    assert.match(denied.out, /by confidential-models-stay-with-their-owner \(.*attributes\.cedar:8\)\n {2}@id/)
    assert.match(denied.out, /sensitivity="restricted" owner="acme"/)

    const flags = ['--config', config, '--principal', 'alice', '--model', 'digits', '--role', 'restricted-data', '--organization', 'acme']
    const allowed = await run('explain', ...flags, '--json')
    const { policies, ...rest } = JSON.parse(allowed.out)
    assert.deepEqual([allowed.code, rest.allowed, policies[0].id, policies[0].effect], [0, true, 'callers-infer', 'permit'])
    await assert.rejects(run('explain', ...flags, '--context', 'risk=2'), { code: 'USAGE', message: /--context risk: / })
    await assert.rejects(run('explain', ...flags, '--action', 'fly'), { code: 'USAGE', message: /--action: / })
  })
})

describe('the engine of a configuration', () => {
  async function open(policy: object) {
    const closers = new Closers()
    const log = pino({ level: 'silent' })
    const config = Config.parse({ policy })
    const opened = await openPolicy({ config, clock: Date.now, registry: new Registry(), log, closers }, new Map())
    await closers.closeAll(log)
    return opened
  }

  it('is Cedar with the default set, another set, an agent, or none', async () => {
    assert.equal((await (await open({}))?.engine.decide(ask()))?.allowed, true)
    assert.equal((await (await open({ dir: join(defaultFolder, 'strict') }))?.engine.decide(ask()))?.allowed, false)
    assert.equal(await open({ engine: 'none' }), null)
    const agent = await open({ engine: 'opa', opa: { url: 'http://127.0.0.1:1' } })
    assert.equal((await agent?.engine.decide(ask()))?.allowed, false, 'nobody is there')
  })

  it('refuses to start where what it needs is not there', async () => {
    const signals = process.listenerCount('SIGHUP')
    await assert.rejects(open({ dir: '/no/such/folder' }), { code: 'POLICIES_UNREADABLE' })
    await assert.rejects(open({ engine: 'opa', opa: { tokenFile: '/no/such/file' } }), { code: 'CONFIG_INVALID' })
    await assert.rejects(
      open({ engine: 'none', countryDatabase: '/no/such/file' }).then(() => open({ countryDatabase: '/no/such/file' })),
      {
        code: 'COUNTRIES_UNREADABLE',
      },
    )
    write('broken.cedar', 'permit (')
    await assert.rejects(open({ dir: folder }), { code: 'POLICIES_INVALID' })
    assert.equal(process.listenerCount('SIGHUP'), signals)
  })
})
