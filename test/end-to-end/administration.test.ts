import assert from 'node:assert/strict'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import type { ContainmentView } from '../../console/port.ts'
import { startInstance, temporaryDataDir, until } from './instance.ts'

it('policies decide what people do by the console, and others from the next look on', { timeout: 120_000 }, async (t) => {
  const dataDir = temporaryDataDir(t)
  const policies = join(dataDir, 'policies')
  mkdirSync(policies)
  const file = join(policies, 'all.cedar')
  const all = '@id("all") permit (principal, action, resource);'
  // True of every release of a principal: at least its risk of 0 is known.
  const kept =
    '@id("kept") forbid (principal, action == Action::"release", resource) when { context has targetRisk && principal.method == "machine" };'
  writeFileSync(file, `${all}\n${kept}`)
  const instance = await startInstance({ dataDir, environment: { CORDON_POLICY_DIR: policies } })
  const [made] = await instance.cordon<ContainmentView>(
    ...['contain', 'principal:mallory', '--action', 'deny-principal', '--for', '10m', '--reason', 'seen in the logs'],
  )
  assert.equal(made?.state, 'active')
  const release = () => instance.cordon<ContainmentView>('containments', 'release', 'principal:mallory/deny-principal')
  await assert.rejects(release(), /policies do not let you release principal:mallory\/deny-principal: by kept/)
  const [still] = await instance.cordon<ContainmentView>('containments', 'list')
  assert.equal(still?.state, 'active')
  const metrics = await (await fetch(`${instance.console}/metrics`)).text()
  assert.match(metrics, /^cordon_policy_denials_total\{policy="kept"\} 1$/m)
  writeFileSync(file, all)
  instance.process.kill('SIGHUP')
  const released = await until('the policies of now are in force', () =>
    release().then(
      ([one]) => one,
      () => undefined,
    ),
  )
  assert.equal(released.state, 'released')
  assert.equal(await instance.stop(), 0)
})
