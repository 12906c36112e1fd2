import assert from 'node:assert/strict'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { readPolicies } from '../../policy/directory.ts'
import { PolicyError } from '../../policy/errors.ts'
import { describeProblem, parsePolicies, policySetOf } from '../../policy/policy-set.ts'
import { statementsOf } from '../../policy/text.ts'

const permit = '@id("all") permit (principal, action, resource);'

/** What is wrong with the policies of a file, as people read it. */
function problems(text: string, name = '/etc/p/a.cedar'): string[] {
  const parsed = parsePolicies([{ name, text }])
  return parsed.ok ? [] : parsed.problems.map(describeProblem)
}

describe('the text of policies', () => {
  it('is cut where a policy ends, and nowhere else', () => {
    const texts = ['forbid (principal, action, resource) when { "a;\\"//b;" == "x" };', 'permit (principal, action, resource)']
    const found = statementsOf(`// one; two\n\n${texts[0]}// three;\n  ${texts[1]}\n // "four\n`)
    assert.deepEqual(
      found.map(({ text }) => text),
      // A comment behind the last is of it, so that nothing that is missing is taken for a comment's.
      [texts[0], `${texts[1]}\n // "four`],
    )
  })
})

describe('parsing policies', () => {
  it('names each by its annotation, or by its place', () => {
    const { policies } = policySetOf([
      { name: '/etc/p/a.cedar', text: `${permit}\n\nforbid (principal, action, resource) when { context.hour < 3 };` },
    ])
    assert.deepEqual(
      [...policies.values()].map(({ id, effect, file, line }) => [id, effect, file, line]),
      [
        ['all', 'permit', '/etc/p/a.cedar', 1],
        ['a.cedar:3', 'forbid', '/etc/p/a.cedar', 3],
      ],
    )
  })

  it('tells the place of each that cannot be read', () => {
    const found = problems(`// ü ü\n${permit}\npermit (principal, action,\n  resourc);\nforbid (`)
    assert.equal(found.length, 2)
    assert.match(found[0] ?? '', /^\/etc\/p\/a\.cedar:4:3: found an invalid variable in the policy scope: resourc/)
    assert.match(found[1] ?? '', /^\/etc\/p\/a\.cedar:5:9: unexpected end of input/)
  })

  it('tells the place of what does not fit the schema', () => {
    assert.match(
      problems('// ü\n@id("ü") permit (principal, action == Action::"infer", resource)\n  when { context.foo };')[0] ?? '',
      /^\/etc\/p\/a\.cedar:3:10: ü: attribute `foo` in context for Action::"infer" not found; did you mean `hour`\?$/,
    )
    // Cedar would not count a policy that fails for want of an attribute: the validator makes policies ask for it first.
    assert.match(problems('forbid (principal, action, resource) when { context.country == "DE" };')[0] ?? '', /country/)
    assert.match(problems('permit (principal, action == Action::"nope", resource);')[0] ?? '', /unrecognized action/)
    assert.match(problems('permit (principal == ?principal, action, resource);')[0] ?? '', /a\.cedar:1:.*(template|slot)/)
  })

  it('refuses two of one id, an id without a letter, and none at all', () => {
    assert.match(problems(`${permit}\n${permit}`)[0] ?? '', /:2:1: all: its id is also that of \/etc\/p\/a\.cedar:1/)
    assert.match(problems('@id("") permit (principal, action, resource);')[0] ?? '', /its id has 0 characters/)
    assert.match(problems('// nothing')[0] ?? '', /nobody may anything/)
    assert.equal(parsePolicies([]).ok, false)
  })

  it('warns of what can never hold', () => {
    const parsed = parsePolicies([
      { name: 'a.cedar', text: `${permit} forbid (principal, action, resource) when { context.hour < 3 && false };` },
    ])
    assert.equal(parsed.ok && parsed.set.warnings.length, 1)
  })

  it('gives equal files one version wherever they lie, and others another', () => {
    const version = (name: string, text: string) => policySetOf([{ name, text }]).version
    assert.match(version('/a/x.cedar', permit), /^[0-9a-f]{16}$/)
    assert.equal(version('/a/x.cedar', permit), version('/b/x.cedar', permit))
    assert.notEqual(version('/a/x.cedar', permit), version('/a/y.cedar', permit))
    assert.notEqual(version('/a/x.cedar', permit), version('/a/x.cedar', `${permit} `))
  })

  it('says what is wrong with a folder', () => {
    assert.throws(
      () => readPolicies('/no/such/folder'),
      (error) => error instanceof PolicyError && error.code === 'POLICIES_UNREADABLE',
    )
    const folder = mkdtempSync(join(tmpdir(), 'cordon-policies-'))
    for (let i = 0; i <= 256; i++) writeFileSync(join(folder, `${i}.cedar`), '')
    assert.throws(() => readPolicies(folder), /257 files/)
  })
})
