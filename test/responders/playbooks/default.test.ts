import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, it } from 'node:test'
import { parse } from 'yaml'
import { choose, planActions } from '../../../responders/playbooks/choose.ts'
import { parsePlaybook } from '../../../responders/playbooks/playbook.ts'
import { responders } from '../../../responders/registry.ts'
import type { Finding } from '../../../schemas/index.ts'
import { egress, finding, hash, incident, minute, start } from '../given.ts'

const text = readFileSync(new URL('../../../deploy/playbooks/default.yaml', import.meta.url), 'utf8')
const playbook = parsePlaybook(parse(text), responders)

function planned(given: Finding, repetitions: number, openedAt = start) {
  const rule = choose(playbook, given, repetitions)
  return rule === null ? [] : planActions(playbook, rule, given, incident({ repetitions, openedAt }), given.time, hash)
}

/** `responder target settings minutes`, in the order of the playbook. */
function told(given: Finding, repetitions: number): string[] {
  return planned(given, repetitions).map((action) => {
    const settings = Object.values(action.parameters).join('/')
    return [action.responder, action.target, settings, (action.until - action.plannedAt) / minute].filter((part) => part !== '').join(' ')
  })
}

const probing = (confidence: number) => finding({ confidence })
const ring = (confidence: number) => finding({ detector: 'extraction-ring', confidence })
const leakage = (confidence: number) => finding({ detector: 'model-leakage', confidence, severity: 'low' })
const prompts = (confidence: number) => finding({ detector: 'prompt-search', confidence, severity: 'medium' })
const sweep = (confidence: number) => finding({ detector: 'extraction-sweep', confidence })

describe('the default playbook', () => {
  const rows: [given: Finding, repetitions: number, actions: string[]][] = [
    [probing(0.4), 0, []],
    [probing(0.5), 0, ['harden-output principal:mallory rounded/1 10']],
    [probing(0.7), 0, ['harden-output principal:mallory label-only/0 10']],
    [probing(0.9), 0, ['throttle-principal principal:mallory 1/60000 10', 'harden-output principal:mallory label-only/0 30']],
    [
      finding({ confidence: 0.9, evidence: { profile: 'p', epoch: 0, middle: 'AAAA', radius: 2, bystanders: 'carol' } }),
      0,
      [
        `throttle-cluster cluster:${finding().id} 1/60000/digits/p/0/AAAA/2/carol 10`,
        'throttle-principal principal:mallory 1/60000 10',
        'harden-output principal:mallory label-only/0 30',
      ],
    ],
    [
      probing(0.9),
      1,
      [
        'throttle-principal principal:mallory 1/60000 60',
        'harden-output principal:mallory label-only/0 120',
        'rotate-key principal:mallory 600000 60',
      ],
    ],
    [probing(0.9), 2, ['deny-principal principal:mallory 360']],
    [probing(0.9), 7, ['deny-principal principal:mallory 360']],
    // Contained before, but not likely enough now: no harder than the first time.
    [probing(0.7), 2, ['harden-output principal:mallory label-only/0 10']],
    [sweep(0.4), 0, []],
    [sweep(0.5), 0, ['harden-output principal:mallory rounded/2 30']],
    [sweep(0.7), 0, ['harden-output principal:mallory rounded/1 30', 'throttle-principal principal:mallory 60/60000 10']],
    [sweep(0.9), 0, ['harden-output principal:mallory label-only/0 60', 'throttle-principal principal:mallory 10/60000 30']],
    [sweep(0.9), 2, ['deny-principal principal:mallory 360']],
    [ring(0.9), 0, ['harden-output principal:mallory label-only/0 60', 'throttle-principal principal:mallory 10/60000 30']],
    // Whoever only sends what the others send is not denied for it.
    [
      ring(0.9),
      2,
      [
        'throttle-principal principal:mallory 1/60000 60',
        'harden-output principal:mallory label-only/0 120',
        'rotate-key principal:mallory 600000 60',
      ],
    ],
    [leakage(0.2), 0, []],
    [leakage(0.95), 0, ['throttle-principal principal:mallory 1/60000 60', 'harden-output principal:mallory label-only/0 60']],
    [prompts(0.4), 0, []],
    [prompts(0.5), 0, []],
    [finding({ detector: 'generation-abuse', confidence: 0.5 }), 0, ['throttle-principal principal:mallory 60/60000 10']],
    [prompts(0.7), 0, ['throttle-principal principal:mallory 10/60000 10', 'harden-output principal:mallory label-only/0 30']],
    [prompts(0.9), 0, ['throttle-principal principal:mallory 2/60000 30', 'harden-output principal:mallory label-only/0 60']],
    [prompts(0.9), 2, ['deny-principal principal:mallory 360']],
    [egress({ confidence: 0.7 }), 0, []],
    [egress({ confidence: 0.8 }), 0, ['quarantine-pool pool:b 30']],
    [egress({ confidence: 0.8 }), 1, ['quarantine-pool pool:b 360']],
    [egress({ confidence: 0.99, pool: null }), 3, []],
    [finding({ detector: 'model-drift', principals: [], confidence: 0.95 }), 0, ['rollback-model model:digits 1440']],
    [finding({ detector: 'prompt-attack', confidence: 0.95 }), 0, ['harden-output principal:mallory rounded/1 30']],
    [finding({ detector: 'prompt-attack', confidence: 0.95, severity: 'medium' }), 9, []],
    [finding({ detector: 'blindness', confidence: 1, severity: 'critical' }), 9, []],
  ]
  for (const [given, repetitions, actions] of rows) {
    const subject = given.principals[0] ?? given.pool ?? given.workload ?? given.model
    it(`${given.detector} ${given.confidence} ${given.severity} about ${subject}, contained ${repetitions} times before: ${actions.join(', ') || 'observe'}`, () => {
      assert.deepEqual(told(given, repetitions), actions)
    })
  }

  it('acts on whom a finding names, not on all of its incident', () => {
    const wide = incident({ principals: ['mallory', 'eve', 'trent'] })
    const rule = choose(playbook, finding({ principals: ['eve'] }), 0)
    assert.ok(rule)
    const targets = planActions(playbook, rule, finding({ principals: ['eve'] }), wide, start, hash).map(({ target }) => target)
    assert.deepEqual([...new Set(targets)], ['principal:eve'])
  })

  it('plans under the same id until half of the lease is over, then once more for each half', () => {
    const throttleAt = (minutes: number) => planned(finding({ time: start + minutes * minute }), 0)[0]?.id
    // The throttle lasts 10 minutes, so halves begin at 0, 5, 10, …
    assert.equal(throttleAt(0), throttleAt(4.9))
    assert.notEqual(throttleAt(4.9), throttleAt(5))
    assert.equal(throttleAt(5), throttleAt(9.9))
  })

  it('rotates a key once an incident, however long that goes on', () => {
    const rotations = [0, 30, 300].map((minutes) => planned(finding({ time: start + minutes * minute }), 1)[2])
    assert.deepEqual([...new Set(rotations.map((action) => action?.responder))], ['rotate-key'])
    assert.equal(new Set(rotations.map((action) => action?.id)).size, 1)
  })

  it('never contains for blindness, whatever a playbook says', () => {
    const eager = parsePlaybook(
      { id: 'eager', version: 1, rules: [{ id: 'all', when: {}, steps: [{ responder: 'deny-principal', for: '1h' }] }] },
      responders,
    )
    assert.equal(choose(eager, finding({ detector: 'blindness' }), 0), null)
    assert.equal(choose(eager, finding(), 0)?.id, 'all')
  })
})
