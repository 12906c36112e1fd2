import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { GuardOptions, judge, type Situation } from '../../../responders/guard/guard.ts'
import { modelsLeftWithout } from '../../../responders/guard/inventory.ts'
import type { Action } from '../../../schemas/index.ts'
import { action, hour, inventory, lease, minute, start } from '../given.ts'

const options = GuardOptions.parse({ floor: 2 })

function situation(changes: Partial<Situation> = {}): Situation {
  return { now: start, leases: [], pending: [], inventory: inventory(), recentActions: 0, ...changes }
}

/** Throttles of n other principals. */
const throttled = (n: number) => Array.from({ length: n }, (_, i) => lease({ target: `principal:p${i}` }))
const hardened = (n: number) => Array.from({ length: n }, (_, i) => lease({ target: `principal:p${i}`, action: 'harden-output' }))
const quarantine = (pool: string): Action => action({ responder: 'quarantine-pool', effect: 'block', target: `pool:${pool}` })
const harden = action({ responder: 'harden-output', effect: 'degrade' })
const one = inventory({ pools: new Map([['b', ['digits']]]) })
const split = inventory({
  pools: new Map([
    ['a', ['letters']],
    ['b', ['digits', 'letters']],
  ]),
})

describe('the guard', () => {
  // 100 principals are active: at most 10 throttled or denied, 50 hardened.
  const rows: [what: string, action: Action, given: Partial<Situation>, decision: string][] = [
    ['a first throttle', action(), {}, 'allow'],
    ['the tenth of a hundred', action(), { leases: throttled(9) }, 'allow'],
    ['the eleventh', action(), { leases: throttled(10) }, 'awaiting-approval'],
    [
      'the eleventh, one of the ten being over',
      action(),
      { leases: [...throttled(9), lease({ target: 'principal:x', until: start })] },
      'allow',
    ],
    ['another lease for one of ten', action(), { leases: [...throttled(9), lease({ action: 'deny-principal' })] }, 'allow'],
    ['a renewal beside ten', action(), { leases: [...throttled(10), lease()] }, 'allow'],
    [
      'the eleventh, two still on their way',
      action(),
      { leases: throttled(8), pending: [action({ target: 'principal:y' }), action({ target: 'principal:z' })] },
      'awaiting-approval',
    ],
    ['hardening beside ten throttled', harden, { leases: throttled(10) }, 'allow'],
    ['hardening the 51st', harden, { leases: hardened(50) }, 'awaiting-approval'],
    ['the second of two active, at the floor', action(), { inventory: inventory({ activePrincipals: 2 }), leases: throttled(1) }, 'allow'],
    ['the third, over the floor', action(), { inventory: inventory({ activePrincipals: 2 }), leases: throttled(2) }, 'awaiting-approval'],
    ['one of two pools', quarantine('b'), {}, 'allow'],
    ['the only pool', quarantine('b'), { inventory: one }, 'awaiting-approval'],
    ['the pool that alone has a model', quarantine('b'), { inventory: split }, 'awaiting-approval'],
    ['the other pool', quarantine('a'), { inventory: split }, 'allow'],
    ['the last that is left', quarantine('b'), { leases: [lease({ target: 'pool:a', action: 'quarantine-pool' })] }, 'awaiting-approval'],
    ['the last but one on its way', quarantine('b'), { pending: [quarantine('a')] }, 'awaiting-approval'],
    ['a pool nobody knows', quarantine('zz'), {}, 'allow'],
    ['one too many in a minute', action(), { recentActions: 300 }, 'awaiting-approval'],
    ['a finding of yesterday', action(), { now: start + 24 * hour }, 'would-have'],
    [
      'what a person released',
      action(),
      { now: start + minute, leases: [lease({ state: 'released', endedAt: start, endedBy: 'person:ann' })] },
      'would-have',
    ],
    [
      'what was released before its term ended long ago',
      action({ decidedAt: start + hour }),
      { now: start + hour, leases: [lease({ state: 'released', endedAt: start })] },
      'allow',
    ],
  ]
  for (const [what, given, changes, decision] of rows) {
    it(`${what}: ${decision}`, () => assert.equal(judge(given, situation(changes), options).decision, decision))
  }

  it('does nothing in dry-run mode, and asks about whoever is protected', () => {
    assert.equal(judge(action(), situation(), { ...options, mode: 'dry-run' }).decision, 'would-have')
    const guarded = { ...options, protected: ['principal:mallory'] }
    assert.deepEqual(judge(action(), situation(), guarded), { decision: 'awaiting-approval', reason: 'principal:mallory is protected.' })
  })

  it('says why in words that name the limit', () => {
    const verdict = judge(action(), situation({ leases: throttled(10) }), options)
    assert.deepEqual(verdict, {
      decision: 'awaiting-approval',
      reason: 'It would contain 11 principals at once; the limit is 10 of 100 active.',
    })
    assert.deepEqual(modelsLeftWithout(split, 'b', new Set(['b'])), ['digits'])
  })
})
