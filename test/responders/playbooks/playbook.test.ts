import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ResponderError } from '../../../responders/errors.ts'
import { parsePlaybook } from '../../../responders/playbooks/playbook.ts'
import { responders } from '../../../responders/registry.ts'

const rule = (changes: object = {}) => ({ id: 'r', when: {}, steps: [], ...changes })
const document = (...rules: object[]) => ({ id: 'mine', version: 1, rules })
const step = (changes: object = {}) => ({
  responder: 'throttle-principal',
  with: { requests: 1, windowMs: 60_000 },
  for: '10m',
  ...changes,
})

describe('a playbook', () => {
  it('is its rules, with durations in milliseconds and defaults filled in', () => {
    const playbook = parsePlaybook(document(rule({ steps: [step({ with: {} })] })), responders)
    const [first] = playbook.rules[0]?.steps ?? []
    assert.deepEqual([first?.durationMs, first?.parameters], [600_000, { requests: 1, windowMs: 60_000, durationMs: 600_000 }])
  })

  const rows: [what: string, document: unknown, problem: RegExp][] = [
    ['no object', 'rules', /^The playbook cannot be used\. playbook: /],
    ['no rules', document(), /rules: /],
    ['an unknown key', { ...document(rule()), rule: [] }, /playbook: Unrecognized key: "rule"/],
    ['a misspelt condition', document(rule({ when: { minConfidance: 0.9 } })), /rules\[0\]\.when: Unrecognized key: "minConfidance"/],
    ['a confidence that is none', document(rule({ when: { minConfidence: 9 } })), /rules\[0\]\.when\.minConfidence: /],
    ['another version', { ...document(rule()), version: 2 }, /version: /],
    ['a duration without a unit', document(rule({ steps: [step({ for: '10' })] })), /steps\[0\]\.for: write a duration as/],
    ['a duration over a day', document(rule({ steps: [step({ for: '25h' })] })), /steps\[0\]\.for: must be at most 24h/],
    [
      'an unknown responder',
      document(rule({ steps: [step({ responder: 'shout' })] })),
      /no responder is called shout; there are harden-output/,
    ],
    [
      'a parameter that is not one',
      document(rule(), rule({ id: 's', steps: [step({ with: { rate: 1 } })] })),
      /rules\[1\]\.steps\[0\]\.with: Unrec/,
    ],
    ['a parameter out of range', document(rule({ steps: [step({ with: { requests: 0 } })] })), /steps\[0\]\.with\.requests: /],
    ['two rules of one name', document(rule(), rule()), /rules\[1\]\.id: r is used twice/],
  ]
  for (const [what, given, problem] of rows) {
    it(`is refused with ${what}`, () => {
      assert.throws(
        () => parsePlaybook(given, responders),
        (error: unknown) => error instanceof ResponderError && error.code === 'PLAYBOOK_INVALID' && problem.test(error.message),
      )
    })
  }
})
