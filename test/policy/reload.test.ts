import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { CedarEngine } from '../../policy/cedar.ts'
import { readPolicies } from '../../policy/directory.ts'
import { policySetOf } from '../../policy/policy-set.ts'
import { type Reload, reloadPolicies } from '../../policy/reload.ts'
import { ask } from './given.ts'

const permit = '@id("all") permit (principal, action, resource);'
const alsoForbid = `${permit} @id("mallory") forbid (principal == User::"mallory", action, resource);`

describe('policies that change on disk', () => {
  let folder: string
  let engine: CedarEngine
  let reload: Reload
  let registry: Registry
  let logged: { level: number; msg: string; version?: string }[]

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'cordon-reload-'))
    writeFileSync(join(folder, 'a.cedar'), permit)
    engine = new CedarEngine(policySetOf(readPolicies(folder)))
    registry = new Registry()
    logged = []
    const log = pino({ level: 'info' }, { write: (line: string) => logged.push(JSON.parse(line) as (typeof logged)[number]) })
    reload = reloadPolicies({ engine, folder, registry, log, everyMs: null })
  })
  afterEach(() => {
    reload.close()
    rmSync(folder, { recursive: true })
  })

  const failed = async () => /^cordon_policy_reload_failed (\d)$/m.exec(await registry.metrics())?.[1]
  const allowed = () => engine.decide(ask({ principal: 'mallory' })).allowed

  it('are in force from the next look on, and nothing happens where they are as they were', () => {
    const before = engine.version
    assert.equal(reload.look(), true)
    assert.deepEqual([engine.version, allowed(), logged.length], [before, true, 0])
    writeFileSync(join(folder, 'a.cedar'), alsoForbid)
    assert.equal(reload.look(), true)
    assert.notEqual(engine.version, before)
    assert.deepEqual([allowed(), logged.map(({ msg }) => msg)], [false, ['other policies are in force']])
  })

  it('that are not valid leave those of before in force, and are complained of once', async () => {
    writeFileSync(join(folder, 'a.cedar'), alsoForbid)
    reload.look()
    const before = engine.version
    for (const text of ['permit (', 'permit (principal, action, resource) when { context.nope };', '// empty']) {
      writeFileSync(join(folder, 'a.cedar'), text)
      logged = []
      for (const _ of [1, 2, 3]) assert.equal(reload.look(), false)
      assert.deepEqual([engine.version, allowed(), await failed()], [before, false, '1'])
      assert.deepEqual(
        logged.map(({ level, msg, version }) => [level, msg, version]),
        [[50, 'the policies on disk are refused; those of before stay in force', before]],
      )
    }
    writeFileSync(join(folder, 'a.cedar'), permit)
    assert.equal(reload.look(), true)
    assert.deepEqual([allowed(), await failed()], [true, '0'])
  })

  it('stay in force while their folder is gone', async () => {
    renameSync(folder, `${folder}-away`)
    assert.deepEqual([reload.look(), allowed(), await failed()], [false, true, '1'])
    renameSync(`${folder}-away`, folder)
    assert.deepEqual([reload.look(), await failed()], [true, '0'])
  })

  it('are mended by putting those of before back', async () => {
    writeFileSync(join(folder, 'a.cedar'), 'permit (')
    reload.look()
    writeFileSync(join(folder, 'a.cedar'), permit)
    assert.equal(reload.look(), true)
    assert.equal(await failed(), '0')
  })

  it('drop no decision: each is by the old or by the new, whole', () => {
    const versions = new Map([[engine.version, true]])
    for (let i = 0; i < 40; i++) {
      writeFileSync(join(folder, 'a.cedar'), i % 2 === 0 ? alsoForbid : permit)
      reload.look()
      versions.set(engine.version, i % 2 !== 0)
      for (let j = 0; j < 5; j++) {
        const decision = engine.decide(ask({ principal: 'mallory', context: { purpose: `${j}` } }))
        assert.deepEqual([decision.errors, decision.allowed], [[], versions.get(decision.version)])
      }
    }
    assert.equal(versions.size, 2)
  })
})
