import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import * as fc from 'fast-check'
import { IncidentBook, incidentDefaults } from '../../../responders/incidents/incidents.ts'
import { type Finding, Incident } from '../../../schemas/index.ts'
import { egress, finding, hash, hour, minute, second, start } from '../given.ts'

const options = { ...incidentDefaults, hash }
const throttle = 'principal:mallory/throttle-principal'

function bookOf(...findings: Finding[]): IncidentBook {
  const book = new IncidentBook(options)
  for (const given of findings) book.fold(given, given.time)
  return book
}

const other = (changes: Partial<Finding> = {}) => finding({ id: hash('other'), detector: 'extraction-sweep', ...changes })

describe('findings become incidents', () => {
  const rows: [what: string, findings: Finding[], incidents: number][] = [
    ['the same finding twice', [finding(), finding()], 1],
    ['a later revision of it', [finding(), finding({ revision: 1 })], 1],
    ['another detector, the same principal and model', [finding(), other()], 1],
    ['the same principal on another model', [finding(), other({ model: 'letters' })], 2],
    ['the same principal and no model', [finding(), other({ model: null })], 1],
    ['another principal on the same model', [finding(), other({ principals: ['eve'] })], 2],
    ['a cluster that shares one principal', [finding(), other({ principals: ['eve', 'mallory'] })], 1],
    ['two workloads of one pool', [egress(), egress({ id: hash('w2'), workload: 'worker-2' })], 1],
    ['two workloads of no pool', [egress({ pool: null }), egress({ id: hash('w2'), workload: 'worker-2', pool: null })], 2],
    ['requests without a key on one model', [finding({ principals: ['anonymous'] }), other({ principals: ['anonymous'] })], 1],
    [
      'about nothing at all, told twice',
      [finding({ principals: [], model: null }), finding({ principals: [], model: null, revision: 1 })],
      1,
    ],
  ]
  for (const [what, findings, incidents] of rows) {
    it(`${what}: ${incidents}`, () => assert.equal(bookOf(...findings).size, incidents))
  }

  it('severity and confidence only rise; the title is that of the gravest', () => {
    const book = bookOf(
      finding({ severity: 'medium', confidence: 0.6, title: 'first' }),
      finding({ severity: 'critical', confidence: 0.5, title: 'gravest', revision: 1 }),
      finding({ severity: 'low', confidence: 0.9, title: 'last', revision: 2 }),
    )
    const [incident] = book.list()
    assert.deepEqual([incident?.severity, incident?.confidence, incident?.title], ['critical', 0.9, 'gravest'])
  })

  it('counts a finding once, whatever its revisions, and says what it knew', () => {
    const book = bookOf(finding())
    assert.equal(book.fold(finding({ revision: 2 }), start).change, 'updated')
    // Revision 1 comes late: revision 2 said it all.
    assert.equal(book.fold(finding({ revision: 1 }), start).change, 'known')
    assert.equal(book.fold(other(), start).incident.findingCount, 2)
  })

  it('opens under an id that the finding gives', () => {
    assert.equal(bookOf(finding()).list()[0]?.id, bookOf(finding()).list()[0]?.id)
  })
})

describe('an incident ends', () => {
  it('when it was quiet for an hour: the next finding opens another, which is no repetition', () => {
    const book = bookOf(finding())
    const late = other({ time: start + hour + second })
    const fold = book.fold(late, late.time)
    assert.deepEqual([fold.change, fold.closed.length, fold.incident.repetitions], ['opened', 1, 0])
  })

  it('by itself, when nobody says anything any more', () => {
    const book = bookOf(finding())
    assert.deepEqual(book.tick(start + hour), [])
    const [closed] = book.tick(start + hour + 1)
    assert.deepEqual([closed?.incident.state, closed?.incident.closedAt, closed?.contained], ['closed', start + hour + 1, false])
    assert.equal(book.size, 0)
  })

  it('not while a lease runs', () => {
    const book = bookOf(finding())
    const [incident] = book.list()
    assert.equal(book.contain(incident?.id ?? '', throttle, start + 3 * hour)?.state, 'contained')
    assert.deepEqual(book.tick(start + 3 * hour), [])
    assert.equal(book.tick(start + 3 * hour + 1)[0]?.contained, true)
  })

  it('when its containment has run out and the attack comes back: that is a repetition', () => {
    const book = bookOf(finding())
    book.contain(book.list()[0]?.id ?? '', throttle, start + 10 * minute)
    const during = book.fold(finding({ revision: 1, time: start + 5 * minute }), start + 5 * minute)
    assert.deepEqual([during.change, during.incident.repetitions], ['updated', 0])
    const after = book.fold(finding({ revision: 2, time: start + 11 * minute }), start + 11 * minute)
    assert.deepEqual([after.change, after.incident.repetitions, after.closed.length], ['opened', 1, 1])
    book.contain(after.incident.id, throttle, start + 20 * minute)
    const again = book.fold(finding({ revision: 3, time: start + 21 * minute }), start + 21 * minute)
    assert.equal(again.incident.repetitions, 2)
  })

  it('not by a finding from before the end of its containment that comes late', () => {
    const book = bookOf(finding())
    book.contain(book.list()[0]?.id ?? '', throttle, start + 10 * minute)
    assert.equal(book.fold(other({ time: start + 9 * minute }), start + 15 * minute).change, 'updated')
  })

  it('a lease that a person released is no repetition, and the incident waits for people', () => {
    const book = bookOf(finding())
    book.contain(book.list()[0]?.id ?? '', throttle, start + 10 * minute)
    assert.equal(book.release(throttle)[0]?.state, 'open')
    const after = book.fold(finding({ revision: 1, time: start + 11 * minute }), start + 11 * minute)
    assert.deepEqual([after.change, after.incident.state], ['updated', 'open'])
    assert.equal(book.tick(start + 3 * hour)[0]?.contained, false)
    assert.equal(book.fold(other({ time: start + 3 * hour }), start + 3 * hour).incident.repetitions, 0)
  })

  it('is forgotten as a repetition after thirty days', () => {
    const book = bookOf(finding())
    book.contain(book.list()[0]?.id ?? '', throttle, start + 10 * minute)
    book.tick(start + 2 * hour)
    const month = start + 2 * hour + incidentDefaults.historyMs
    assert.equal(book.fold(finding({ revision: 1, time: month }), month).incident.repetitions, 1)
    book.tick(month + 2 * hour)
    assert.equal(book.fold(finding({ revision: 2, time: month + 1 }), month + 2 * hour).incident.repetitions, 0)
  })
})

describe('restoring', () => {
  it('goes on with open incidents, and remembers who was contained', () => {
    const before = bookOf(finding(), other())
    const [open] = before.list()
    assert.ok(open)
    const book = new IncidentBook(options)
    book.restore(open, true)
    book.restore({ ...open, id: hash('closed'), targets: ['principal:eve'], state: 'closed', closedAt: start, repetitions: 1 }, true)
    const redelivered = book.fold(finding(), start)
    assert.deepEqual([redelivered.incident.id, redelivered.incident.findingCount], [open.id, 2])
    assert.equal(book.fold(other({ id: hash('eve'), principals: ['eve'] }), start).incident.repetitions, 2)
  })

  it('does not count a redelivered finding that the log says is counted', () => {
    const [open] = bookOf(finding()).list()
    assert.ok(open)
    const book = new IncidentBook(options)
    book.restore({ ...open, findings: [hash('newer')], findingCount: 150 }, false)
    assert.equal(book.fold(finding(), start, () => true).incident.findingCount, 150)
  })
})

describe('whatever comes', () => {
  it('stays valid and bounded, and closes the quietest, contained ones last', () => {
    const names = fc.array(fc.stringMatching(/^[a-z]{1,3}$/), { minLength: 1, maxLength: 40 })
    const some = fc.record({
      principals: names,
      at: fc.integer({ min: 0, max: 600 }),
      confidence: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(fc.array(some, { minLength: 1, maxLength: 120 }), (given) => {
        const book = new IncidentBook({ ...options, maxOpen: 5 })
        for (const [i, { principals, at, confidence }] of given.entries()) {
          const time = start + at * second
          const { incident } = book.fold(finding({ id: hash(`f${i}`), principals, confidence, time, model: `m${i % 7}` }), time)
          assert.deepEqual(Incident.parse(incident), incident)
          assert.ok(book.size <= 5)
        }
      }),
      { numRuns: 60, seed: 7 },
    )
    const book = new IncidentBook({ ...options, maxOpen: 2 })
    const first = book.fold(finding({ principals: ['a'] }), start).incident
    book.contain(first.id, 'principal:a/throttle-principal', start + hour)
    book.fold(finding({ id: hash('b'), principals: ['b'], time: start + minute }), start + minute)
    const { closed } = book.fold(finding({ id: hash('c'), principals: ['c'], time: start + minute }), start + minute)
    assert.deepEqual(closed[0]?.incident.principals, ['b'])
  })

  it('names at most 100 findings and counts them all', () => {
    const book = new IncidentBook(options)
    for (let i = 0; i < 150; i++) book.fold(finding({ id: hash(`f${i}`) }), start)
    const [incident] = book.list()
    assert.deepEqual([incident?.findings.length, incident?.findingCount, incident?.findings.at(-1)], [100, 150, hash('f149')])
  })
})
