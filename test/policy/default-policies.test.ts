import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { runCases } from '../../policy/cases.ts'
import { CedarEngine } from '../../policy/cedar.ts'
import { defaultFolder, filesOf, readPolicies } from '../../policy/directory.ts'
import { policySetOf } from '../../policy/policy-set.ts'

for (const folder of [defaultFolder, join(defaultFolder, 'strict')]) {
  describe(`the policies in ${folder.slice(folder.indexOf('deploy'))}`, async () => {
    const set = policySetOf(readPolicies(folder))
    const results = await runCases(new CedarEngine(set), filesOf(folder, '.tests.json'))

    it('are valid, without a warning', () => assert.deepEqual(set.warnings, []))

    for (const { name, ok, reason } of results) it(name, () => assert.ok(ok, reason))

    it('each decide a case', () => {
      const deciding = new Set(results.flatMap(({ policies }) => policies))
      assert.deepEqual(
        [...set.policies.keys()].filter((id) => !deciding.has(id)),
        [],
      )
    })
  })
}
