import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { LeaseBook } from '../../../responders/leases/book.ts'
import { decide, holds, type LeaseCommand } from '../../../responders/leases/lease.ts'
import { throttlePrincipal } from '../../../responders/throttle-principal/throttle-principal.ts'
import { type Containment, leaseId } from '../../../schemas/index.ts'
import { hash, minute, second, start } from '../given.ts'

const targets = ['principal:a', 'principal:b', 'principal:c'] as const
const action = 'throttle-principal'
const limits = { maxDurationMs: 60 * minute, maxActive: 2 }

/** What must be so, in the plainest terms: until when each target is contained, and how strictly. */
interface Model {
  now: number
  held: Map<string, { until: number; requests: number }>
}

/** The book under test, and the log that a restart reads. */
interface Real {
  book: LeaseBook
  readonly log: Containment[]
}

type Step = fc.Command<Model, Real>

function act(real: Real, id: string, command: LeaseCommand, now: number): void {
  const context = { now, active: real.book.active, limits, strongest: throttlePrincipal.strongest }
  for (const revision of decide(command, real.book.get(id) ?? null, context).revisions) {
    real.book.apply(revision)
    real.log.push(revision)
  }
}

/** The invariant: exactly what the model holds is contained, and nothing beyond its end. */
function check(model: Model, real: Real): void {
  for (const [target, { until }] of model.held) if (until <= model.now) model.held.delete(target)
  const holding = real.book.holding(model.now).map((lease) => [lease.target, lease.until, lease.parameters['requests']])
  const expected = [...model.held].map(([target, { until, requests }]) => [target, until, requests])
  assert.deepEqual(holding.sort(), expected.sort())
  for (const lease of real.book.list()) {
    assert.ok(lease.until <= model.now + limits.maxDurationMs)
    if (lease.state === 'active') assert.equal(lease.endedAt, null)
    else assert.ok(lease.endedAt !== null && lease.endedAt <= model.now)
  }
}

class Grant implements Step {
  readonly target: string
  readonly forMs: number
  readonly requests: number
  readonly person: boolean

  constructor(target: string, forMs: number, requests: number, person: boolean) {
    this.target = target
    this.forMs = forMs
    this.requests = requests
    this.person = person
  }

  check = () => true

  run(model: Model, real: Real): void {
    const { target, requests, person } = this
    const until = model.now + Math.min(this.forMs, limits.maxDurationMs)
    const owner = person ? 'person:ann' : 'playbook:x'
    const request = {
      target,
      action,
      parameters: { requests, windowMs: minute },
      reason: '',
      owner,
      incident: null,
      until,
      decidedAt: null,
    }
    // The bound counts leases marked active, so one that ran out unmarked may refuse a grant elsewhere: never more, at worst fewer.
    const marked = real.book.active - Number(real.book.get(leaseId(target, action))?.state === 'active')
    act(real, leaseId(target, action), { kind: 'grant', request, person }, model.now)
    const held = model.held.get(target)
    if (held !== undefined && !person) {
      model.held.set(target, { until: Math.max(held.until, until), requests: Math.min(held.requests, requests) })
    } else if (held !== undefined || marked < limits.maxActive) model.held.set(target, { until, requests })
    check(model, real)
  }

  toString = () => `grant(${this.target}, ${this.forMs}, ${this.requests}, ${this.person ? 'person' : 'machine'})`
}

class Extend implements Step {
  readonly target: string
  readonly forMs: number

  constructor(target: string, forMs: number) {
    this.target = target
    this.forMs = forMs
  }

  check = () => true

  run(model: Model, real: Real): void {
    const until = model.now + Math.min(this.forMs, limits.maxDurationMs)
    act(real, leaseId(this.target, action), { kind: 'extend', until, by: 'person:ann' }, model.now)
    const held = model.held.get(this.target)
    if (held !== undefined) held.until = Math.max(held.until, until)
    check(model, real)
  }

  toString = () => `extend(${this.target}, ${this.forMs})`
}

class Release implements Step {
  readonly target: string

  constructor(target: string) {
    this.target = target
  }

  check = () => true

  run(model: Model, real: Real): void {
    act(real, leaseId(this.target, action), { kind: 'release', by: 'person:ann' }, model.now)
    model.held.delete(this.target)
    check(model, real)
  }

  toString = () => `release(${this.target})`
}

/** Time passes; whether anybody marks what ran out must make no difference. */
class Wait implements Step {
  readonly ms: number
  readonly sweep: boolean

  constructor(ms: number, sweep: boolean) {
    this.ms = ms
    this.sweep = sweep
  }

  check = () => true

  run(model: Model, real: Real): void {
    model.now += this.ms
    if (this.sweep) for (const { id } of real.book.due(model.now)) act(real, id, { kind: 'expire' }, model.now)
    check(model, real)
    if (this.sweep) assert.equal(real.book.active, real.book.holding(model.now).length)
  }

  toString = () => `wait(${this.ms}${this.sweep ? ', sweep' : ''})`
}

/** Everything but the log is lost; compaction has left the newest of each key, and delivery may repeat older ones. */
class Restart implements Step {
  readonly compacted: boolean

  constructor(compacted: boolean) {
    this.compacted = compacted
  }

  check = () => true

  run(model: Model, real: Real): void {
    const newest = new Map(real.log.map((revision) => [revision.id, revision]))
    const records = this.compacted ? [...newest.values()] : [...real.log, ...real.log.slice(0, 3)]
    real.book = new LeaseBook(100)
    for (const revision of records) real.book.apply(revision)
    check(model, real)
  }

  toString = () => `restart(${this.compacted ? 'compacted' : 'whole log'})`
}

const target = fc.constantFrom(...targets)
const forMs = fc.integer({ min: 1, max: 90 }).map((minutes) => minutes * minute)
const steps = [
  fc.tuple(target, forMs, fc.integer({ min: 1, max: 60 }), fc.boolean()).map((given) => new Grant(...given)),
  fc.tuple(target, forMs).map((given) => new Extend(...given)),
  target.map((given) => new Release(given)),
  fc.tuple(fc.integer({ min: 1, max: 2_000 }), fc.boolean()).map(([seconds, sweep]) => new Wait(seconds * second, sweep)),
  fc.boolean().map((compacted) => new Restart(compacted)),
]

describe('leases, in every order of grant, extend, release, expiry and restart', () => {
  it('are never lost and never outlive their end', () => {
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 60, size: 'max' }), (commands) => {
        fc.modelRun(() => ({ model: { now: start, held: new Map() }, real: { book: new LeaseBook(100), log: [] } }), commands)
      }),
      { numRuns: 400, seed: 20_260_101 },
    )
  })

  it('fill a bounded book: the longest-ended are named for dropping, active ones never', () => {
    const book = new LeaseBook(2)
    for (let i = 0; i < 5; i++) {
      const ended = i < 4
      book.apply({
        id: `principal:p${i}/${action}`,
        target: `principal:p${i}`,
        action,
        parameters: {},
        reason: '',
        owner: 'playbook:x',
        incident: hash('i'),
        from: start,
        until: start + minute,
        state: ended ? 'expired' : 'active',
        revision: 0,
        endedAt: ended ? start : null,
        endedBy: null,
        decidedAt: null,
      })
    }
    // 5 leases, 1 active, 2 ended may stay: p0 and p1 ended first.
    assert.deepEqual(book.surplus(), ['principal:p0/throttle-principal', 'principal:p1/throttle-principal'])
    for (const id of book.surplus()) book.forget(id)
    assert.deepEqual([book.surplus(), book.active, holds(book.get(`principal:p4/${action}`), start)], [[], 1, true])
  })
})
