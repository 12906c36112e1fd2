import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { LeaseRequest } from '../../../responders/contract.ts'
import { decide, evolve, holds, type LeaseCommand, leaseLimits } from '../../../responders/leases/lease.ts'
import { throttlePrincipal } from '../../../responders/throttle-principal/throttle-principal.ts'
import type { Containment } from '../../../schemas/index.ts'
import { hash, hour, lease, minute, start } from '../given.ts'

const { strongest } = throttlePrincipal

function asked(changes: Partial<LeaseRequest> = {}): LeaseRequest {
  return {
    target: 'principal:mallory',
    action: 'throttle-principal',
    parameters: { requests: 1, windowMs: minute },
    reason: 'Near-duplicate queries',
    owner: 'playbook:default/probing-certain',
    incident: hash('another incident'),
    until: start + 10 * minute,
    decidedAt: start,
    ...changes,
  }
}

const machine = (changes: Partial<LeaseRequest> = {}): LeaseCommand => ({ kind: 'grant', request: asked(changes), person: false })
const person = (changes: Partial<LeaseRequest> = {}): LeaseCommand => ({ kind: 'grant', request: asked(changes), person: true })

function when(command: LeaseCommand, held: Containment | null, now = start, active = held === null ? 0 : 1) {
  return decide(command, held, { now, active, limits: { ...leaseLimits, maxActive: 3 }, strongest })
}

/** What changed, in the order of the revisions. */
function told(command: LeaseCommand, held: Containment | null, now = start, active?: number) {
  const { revisions, refused } = when(command, held, now, active)
  return { refused, revisions: revisions.map(({ revision, state, until }) => [revision, state, until - start]) }
}

const weak = { requests: 10, windowMs: minute }
const held = lease()
const ended = lease({ state: 'expired', endedAt: start + minute, until: start + minute, endedBy: 'expiry', revision: 4 })
const undone = lease({ state: 'released', endedAt: start + minute, endedBy: 'person:ann', revision: 4 })

describe('a lease', () => {
  const rows: [what: string, command: LeaseCommand, held: Containment | null, at: number, expected: ReturnType<typeof told>][] = [
    ['is granted where there was none', machine(), null, 0, { refused: null, revisions: [[0, 'active', 10 * minute]] }],
    ['is cut to the longest', machine({ until: start + 48 * hour }), null, 0, { refused: null, revisions: [[0, 'active', 24 * hour]] }],
    ['is not granted for the past', machine({ until: start }), null, 0, { refused: 'past', revisions: [] }],
    ['is granted again after it ended', machine(), ended, 2 * minute, { refused: null, revisions: [[5, 'active', 10 * minute]] }],
    ['is extended by a later end', machine({ until: start + hour }), held, 0, { refused: null, revisions: [[1, 'active', hour]] }],
    ['is not shortened by a machine', machine({ until: start + minute }), held, 0, { refused: 'unchanged', revisions: [] }],
    ['is not weakened by a machine', machine({ parameters: weak }), held, 0, { refused: 'unchanged', revisions: [] }],
    ['is shortened by a person', person({ until: start + minute }), held, 0, { refused: null, revisions: [[1, 'active', minute]] }],
    ['is weakened by a person', person({ parameters: weak }), held, 0, { refused: null, revisions: [[1, 'active', 10 * minute]] }],
    ['is strengthened by a machine', machine(), lease({ parameters: weak }), 0, { refused: null, revisions: [[1, 'active', 10 * minute]] }],
    ['is released', { kind: 'release', by: 'person:ann' }, held, minute, { refused: null, revisions: [[1, 'released', 10 * minute]] }],
    ['is released once', { kind: 'release', by: 'person:ann' }, undone, minute, { refused: 'not-active', revisions: [] }],
    ['expires at its end', { kind: 'expire' }, held, 10 * minute, { refused: null, revisions: [[1, 'expired', 10 * minute]] }],
    ['does not expire before', { kind: 'expire' }, held, 10 * minute - 1, { refused: 'not-due', revisions: [] }],
    [
      'is not released after its end',
      { kind: 'release', by: 'x' },
      held,
      hour,
      { refused: 'not-active', revisions: [[1, 'expired', 10 * minute]] },
    ],
    ['is extended', { kind: 'extend', until: start + hour, by: 'x' }, held, 0, { refused: null, revisions: [[1, 'active', hour]] }],
    ['is not extended backwards', { kind: 'extend', until: start + 1, by: 'x' }, held, 0, { refused: 'unchanged', revisions: [] }],
    ['is not extended after its end', { kind: 'extend', until: start + hour, by: 'x' }, ended, 0, { refused: 'not-active', revisions: [] }],
    [
      'that ran out unmarked is marked first',
      machine({ until: start + hour }),
      held,
      20 * minute,
      {
        refused: null,
        revisions: [
          [1, 'expired', 10 * minute],
          [2, 'active', hour],
        ],
      },
    ],
  ]
  for (const [what, command, before, at, expected] of rows) {
    it(what, () => assert.deepEqual(told(command, before, start + at), expected))
  }

  it('does not come back by the redelivered decision that it was granted for', () => {
    const again = machine({ incident: undone.incident, decidedAt: undone.decidedAt, until: start + hour })
    assert.deepEqual(told(again, undone, start + minute), { refused: 'decided', revisions: [] })
    // A later decision of the same incident is another one.
    const later = machine({ incident: undone.incident, decidedAt: start + 1, until: start + hour })
    assert.deepEqual(told(later, undone, start + minute), { refused: null, revisions: [[5, 'active', hour]] })
  })

  it('is not stretched by the redelivery of its own decision', () => {
    const again = machine({ incident: held.incident, decidedAt: held.decidedAt, until: start + 11 * minute })
    assert.deepEqual(told(again, held, start + minute), { refused: 'unchanged', revisions: [] })
  })

  it('keeps the stronger settings when a weaker decision extends it', () => {
    const { revisions } = when(machine({ parameters: weak, until: start + hour }), held)
    assert.deepEqual(revisions[0]?.parameters, held.parameters)
    assert.equal(revisions[0]?.until, start + hour)
  })

  it('is refused when too many are active, unless it is one of them', () => {
    assert.deepEqual(told(machine(), null, start, 3), { refused: 'full', revisions: [] })
    assert.deepEqual(told(machine({ until: start + hour }), held, start, 3).refused, null)
    // It ran out and frees its own place: 3 active, one of them over.
    assert.deepEqual(told(machine({ until: start + hour }), held, start + 20 * minute, 3).refused, null)
  })

  it('holds until its end, not at it, marked or not', () => {
    assert.deepEqual(
      [holds(held, start), holds(held, held.until - 1), holds(held, held.until), holds(undone, start)],
      [true, true, false, false],
    )
  })

  it('is the highest revision, in whatever order they arrive', () => {
    const newer = lease({ revision: 2 })
    assert.equal(evolve(newer, lease({ revision: 1 })), newer)
    assert.equal(evolve(lease({ revision: 1 }), newer), newer)
  })
})
