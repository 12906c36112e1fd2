import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { permissionOf } from '../../cli/instance/policy.ts'
import { configurations, ModelConfiguration } from '../../inference/configuration.ts'
import { CedarEngine } from '../../policy/cedar.ts'
import { policyRequests } from '../../policy/context.ts'
import { defaultFolder, readPolicies } from '../../policy/directory.ts'
import { policySetOf } from '../../policy/policy-set.ts'
import { risksOf } from '../../policy/risks.ts'
import { noon } from './given.ts'

const hour = 60 * 60 * 1_000
const identity = {
  principal: 'alice',
  organization: 'acme',
  method: 'key',
  roles: ['analyst'],
  createdAt: noon - 36 * hour,
  secondFactorAt: null,
}
const risk = {
  principal: 'alice',
  score: 0.8,
  kind: 'extraction-sweep',
  at: noon - 6 * hour,
  until: noon + 18 * hour,
  halfLifeMs: 6 * hour,
}
const restricted = ModelConfiguration.parse({ labels: { sensitivity: 'restricted', purposes: ['fraud'], owner: 'acme' } })

/** Decisions that Cedar made, of 5,000 requests within 58 minutes. */
function madeBy(folder: string, addressOf: (request: number) => string): number {
  const engine = new CedarEngine(policySetOf(readPolicies(folder)))
  const risks = risksOf(new Map([['alice', risk]]))
  const requestOf = policyRequests({ countryOf: () => 'DE', risks })
  const permission = permissionOf({ engine, risks, requestOf }, configurations({ digits: restricted }))
  for (let request = 0; request < 5_000; request++) {
    const asked = {
      identity,
      model: 'digits',
      operation: 'infer',
      address: addressOf(request),
      purpose: 'fraud',
      arrivedAt: noon + request * 700,
    }
    permission.engine.decide(permission.requestOf(asked as never))
  }
  return engine.remembered
}

describe('requests of one principal, as a node asks of them', () => {
  // The risk fades from 0.40 to 0.36: with what lies above a hundredth, five decisions; the hour and the key's days stay.
  for (const [name, folder] of [
    ['default', defaultFolder],
    ['strict', join(defaultFolder, 'strict')],
  ] as const)
    it(`are decided anew when what the ${name} policies read of them changes, and not with the clock`, () => {
      const made = madeBy(folder, () => '192.0.2.7')
      assert.ok(made >= 4 && made <= 5, `${made} decisions`)
    })

  it('from anywhere are one where no policy reads the address', () => {
    assert.equal(
      madeBy(defaultFolder, (request) => `192.0.2.${request % 250}`),
      madeBy(defaultFolder, () => '192.0.2.7'),
    )
  })
})
