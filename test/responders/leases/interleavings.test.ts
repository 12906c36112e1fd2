import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { decode, encode, newEvent, tombstone } from '../../../bus/codec.ts'
import { beginTerm, Fence, underTerm } from '../../../bus/fence.ts'
import type { BusRecord, OutgoingRecord } from '../../../bus/port.ts'
import { LeaseBook } from '../../../responders/leases/book.ts'
import { decide, holds, type LeaseCommand } from '../../../responders/leases/lease.ts'
import { throttlePrincipal } from '../../../responders/throttle-principal/throttle-principal.ts'
import { type Containment, leaseId } from '../../../schemas/index.ts'
import { hash, hour, minute, second, start } from '../given.ts'

const targets = ['principal:a', 'principal:b', 'principal:c'] as const
const action = 'throttle-principal'
const limits = { maxDurationMs: 60 * minute, maxActive: 2 }

/** What must be so, in the plainest terms: until when each target is contained, and how strictly. */
interface Model {
  now: number
  held: Map<string, { until: number; requests: number }>
}

/** A process that decides, or does not know that it was replaced. */
interface Process {
  readonly book: LeaseBook
  readonly term: number
}

/** The log, the process in charge, and those that were before it and still write. */
class Real {
  log: BusRecord[] = []
  /** The first is of before there were terms. */
  inCharge: Process = { book: new LeaseBook(100), term: -1 }
  readonly zombies: Process[] = []
  /** Keys that a zombie wrote over, until the process in charge has written them again. */
  readonly overwritten = new Set<string>()
  #end = 0

  get book(): LeaseBook {
    return this.inCharge.book
  }

  write(process: Process, lease: Containment): void {
    const record = encode('containments', newEvent('containment', lease, `p${process.term}`, start))
    this.#append(process.term === -1 ? record : underTerm(record, process.term))
    if (process === this.inCharge) this.overwritten.delete(lease.id)
    else this.overwritten.add(lease.id)
  }

  repair(): void {
    if (this.overwritten.size === 0) return
    const truth = read(this.log)
    for (const id of this.overwritten) {
      const lease = truth.get(id)
      const record =
        lease === undefined ? tombstone('containments', id, start) : encode('containments', newEvent('containment', lease, 'r', start))
      this.#append(underTerm(record, this.inCharge.term))
    }
    this.overwritten.clear()
  }

  /** Another process takes charge, of what counts on the log. */
  takeOver(leavesZombie: boolean): void {
    const term = { role: 'respond', holder: `p${this.#end}`, number: this.#end, at: start }
    this.#append(beginTerm('containments', term, term.holder))
    if (leavesZombie) this.zombies.push(this.inCharge)
    const book = new LeaseBook(100)
    for (const lease of read(this.log).values()) book.apply(lease)
    this.inCharge = { book, term: term.number }
  }

  /** Keeps the newest record of each key, as the log does by itself once those that it drops are old enough to be repaired. */
  compact(): void {
    this.repair()
    this.log = compacted(this.log)
  }

  #append({ topic, key, value, headers, timestamp }: OutgoingRecord): void {
    this.log.push({ topic, partition: 0, offset: this.#end++, key, value, headers, timestamp })
  }
}

function compacted(log: readonly BusRecord[]): BusRecord[] {
  const newest = new Map(log.map((record) => [record.key, record]))
  return log.filter((record) => newest.get(record.key) === record)
}

/** What a reader holds: the newest of each key that counts. */
function read(log: readonly BusRecord[]): Map<string, Containment> {
  const fence = new Fence('containments')
  const leases = new Map<string, Containment>()
  for (const record of log) {
    if (fence.judge(record) !== 'counts' || record.key === null) continue
    if (record.value === null) leases.delete(record.key)
    else leases.set(record.key, decode(record).data as Containment)
  }
  return leases
}

type Step = fc.Command<Model, Real>

function act(real: Real, id: string, command: LeaseCommand, now: number, process = real.inCharge): void {
  const context = { now, active: process.book.active, limits, strongest: throttlePrincipal.strongest }
  for (const revision of decide(command, process.book.get(id) ?? null, context).revisions) {
    process.book.apply(revision)
    real.write(process, revision)
  }
}

/** What contains at a moment, as rows. */
function rows(leases: Iterable<Containment>, now: number): unknown[] {
  const holding = [...leases].filter((lease) => holds(lease, now))
  return holding.map((lease) => [lease.target, lease.until, lease.parameters['requests']]).sort()
}

/** The invariant: exactly what the model holds is contained, for the process in charge and for every reader, and nothing beyond its end. */
function check(model: Model, real: Real): void {
  for (const [target, { until }] of model.held) if (until <= model.now) model.held.delete(target)
  const expected = [...model.held].map(([target, { until, requests }]) => [target, until, requests]).sort()
  assert.deepEqual(rows(real.book.list(), model.now), expected)
  assert.deepEqual(rows(read(real.log).values(), model.now), expected)
  if (real.overwritten.size === 0) assert.deepEqual(rows(read(compacted(real.log)).values(), model.now), expected)
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

/** Everything but the log is lost; of that, compaction may have left the newest of each key. */
class Restart implements Step {
  readonly compacted: boolean

  constructor(compacted: boolean) {
    this.compacted = compacted
  }

  check = () => true

  run(model: Model, real: Real): void {
    if (this.compacted) real.compact()
    real.takeOver(false)
    check(model, real)
  }

  toString = () => `restart(${this.compacted ? 'compacted' : 'whole log'})`
}

/** Another process takes charge, and the one before does not know. */
class TakeOver implements Step {
  check = () => true

  run(model: Model, real: Real): void {
    real.takeOver(true)
    check(model, real)
  }

  toString = () => 'takeOver'
}

/** A process that was replaced decides on what it knew, and writes. */
class ZombieWrite implements Step {
  readonly which: number
  readonly target: string
  readonly kind: LeaseCommand['kind']

  constructor(which: number, target: string, kind: LeaseCommand['kind']) {
    this.which = which
    this.target = target
    this.kind = kind
  }

  check = () => true

  run(model: Model, real: Real): void {
    const zombie = real.zombies.at(-1 - (this.which % Math.max(1, real.zombies.length)))
    if (zombie !== undefined) act(real, leaseId(this.target, action), this.#command(model.now), model.now, zombie)
    check(model, real)
  }

  #command(now: number): LeaseCommand {
    const { target, kind } = this
    const parameters = { requests: 7, windowMs: minute }
    const request = { target, action, parameters, reason: '', owner: 'person:z', incident: null, until: now + hour, decidedAt: null }
    if (kind === 'grant') return { kind, request, person: true }
    return kind === 'extend' ? { kind, until: now + hour, by: 'person:z' } : { kind, by: 'person:z' }
  }

  toString = () => `zombie(${this.which}, ${this.kind} ${this.target})`
}

/** The process in charge writes again what a zombie wrote over. */
class Repair implements Step {
  check = () => true

  run(model: Model, real: Real): void {
    real.repair()
    check(model, real)
  }

  toString = () => 'repair'
}

const target = fc.constantFrom(...targets)
const forMs = fc.integer({ min: 1, max: 90 }).map((minutes) => minutes * minute)
const steps = [
  fc.tuple(target, forMs, fc.integer({ min: 1, max: 60 }), fc.boolean()).map((given) => new Grant(...given)),
  fc.tuple(target, forMs).map((given) => new Extend(...given)),
  target.map((given) => new Release(given)),
  fc.tuple(fc.integer({ min: 1, max: 2_000 }), fc.boolean()).map(([seconds, sweep]) => new Wait(seconds * second, sweep)),
  fc.boolean().map((compacted) => new Restart(compacted)),
  fc.constant(new TakeOver()),
  fc
    .tuple(fc.nat(2), target, fc.constantFrom('grant' as const, 'extend' as const, 'release' as const, 'expire' as const))
    .map((given) => new ZombieWrite(...given)),
  fc.constant(new Repair()),
]

describe('leases, in every order of grant, extend, release, expiry, restart, takeover and what a replaced process writes', () => {
  it('are never lost and never outlive their end', () => {
    fc.assert(
      fc.property(fc.commands(steps, { maxCommands: 60, size: 'max' }), (commands) => {
        fc.modelRun(() => ({ model: { now: start, held: new Map() }, real: new Real() }), commands)
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
