import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { array, assert as check, constantFrom, double, integer, property, record } from 'fast-check'
import type { FindingDraft } from '../../detectors/contract.ts'
import { extractionSweep } from '../../detectors/extraction-sweep/extraction-sweep.ts'
import { selfTail } from '../../detectors/extraction-sweep/judge.ts'
import { capacity } from '../../detectors/extraction-sweep/memory.ts'
import type { State } from '../../detectors/extraction-sweep/state.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { DataOf } from '../../schemas/index.ts'
import { Finding } from '../../schemas/index.ts'
import { extractionAttacks } from '../attacks/extraction-attacks.ts'
import { seeded } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import { epoch, idOf, observation } from '../contracts/observations.ts'
import { openVictim } from '../lab/victim.ts'

const victim = await openVictim()
after(() => victim.close())
const images = loadMnist('test')
const image = (i: number) => images.images.subarray(i * pixels, (i + 1) * pixels)

type Fingerprint = Partial<DataOf<'fingerprint'>>

/** One principal's state. */
class Bench {
  readonly logic = extractionSweep.start(extractionSweep.params.parse({}))
  state: State = this.logic.initial(epoch)
  seen = 0
  feed(data: Fingerprint): readonly FindingDraft[] {
    const step = this.logic.onEvent(this.state, observation('fingerprint', this.seen, epoch + this.seen * 1_000, data))
    this.seen++
    if (step?.state) this.state = step.state
    return step?.findings ?? []
  }
  all(stream: Iterable<Fingerprint>): FindingDraft[] {
    return [...stream].flatMap((data) => [...this.feed(data)])
  }
}

async function observed(list: readonly Float32Array[]): Promise<Fingerprint[]> {
  const found: Fingerprint[] = []
  for (let at = 0; at < list.length; at += 250)
    for (const { fingerprint } of await victim.observe(list.slice(at, at + 250))) found.push(fingerprint)
  return found
}

async function attack(name: string, seed: number, count: number): Promise<Fingerprint[]> {
  const found = extractionAttacks.find((a) => a.name === name)
  if (found === undefined) throw new Error(`no attack named ${name}`)
  const random = seeded(seed)
  const queries = found.queries(() => image(random.below(5_000)), random)
  const fingerprints: Fingerprint[] = []
  let next = queries.next()
  while (!next.done && fingerprints.length < count) {
    const [seen] = await victim.observe([next.value])
    if (seen === undefined) break
    fingerprints.push(seen.fingerprint)
    next = queries.next(seen.probabilities)
  }
  return fingerprints
}

const natural = await observed(Array.from({ length: 3_000 }, (_, i) => image(5_000 + i)))

for (const { name, medium, high } of [
  // The evidence of one query is capped at 30 (28 after junk): 28^n · (weight of five tests and eight components) passes 10⁴ at n = 4.
  { name: 'uniform noise', medium: 4, high: 6 },
  { name: 'inverted digits', medium: 6, high: 10 },
  { name: 'crops', medium: 6, high: 8 },
  { name: 'textures', medium: 4, high: 6 },
  { name: 'letters', medium: 12, high: 15 },
  { name: 'shapes', medium: 11, high: 13 },
])
  test(`${name}: stated by query ${medium}, certain by query ${high}, on five seeds`, async () => {
    for (let seed = 0; seed < 5; seed++) {
      const bench = new Bench()
      const findings = bench.all(await attack(name, seed, high))
      assert.ok((findings[0]?.eventsSeen ?? Number.POSITIVE_INFINITY) <= medium, `seed ${seed}: ${findings[0]?.eventsSeen}`)
      const certain = findings.find((f) => f.severity === 'high')
      assert.ok(certain !== undefined && certain.confidence >= 0.9, `seed ${seed}`)
      assert.equal(certain.opened, findings[0]?.opened)
    }
  })

test('Jacobian augmentation is seen within 40 queries of its 150 seeds, and never beyond medium: an ensemble does alike', async () => {
  const bench = new Bench()
  const findings = bench.all(await attack('Jacobian augmentation', 1, 190))
  assert.equal(findings[0]?.evidence['leading'], 'return')
  assert.ok(bench.seen > 150)
  assert.ok(findings.every((f) => f.severity === 'medium'))
})

for (const name of ['uniform noise', 'inverted digits'])
  test(`${name}: padding with nine ordinary queries to one does not bury it`, async () => {
    const bench = new Bench()
    const random = seeded(5)
    let first = 0
    for (const query of await attack(name, 5, 25)) {
      for (let i = 0; i < 9; i++) assert.deepEqual(bench.feed(random.pick(natural)), [])
      if (bench.feed(query).length > 0 && first === 0) first = bench.seen
    }
    assert.ok(first > 0 && first <= 220, `query ${first}`)
  })

test('an attack that begins after 2,000 ordinary queries', async () => {
  const bench = new Bench()
  assert.deepEqual(bench.all(natural.slice(0, 2_000)), [])
  const findings = bench.all(await attack('uniform noise', 6, 15))
  assert.ok(findings.length > 0)
  // The episode begins with the attack, not with the account.
  assert.ok((findings[0]?.eventsSeen ?? 0) <= 15)
})

test('100 accounts of 30 ordinary images and one of 20,000 queries raise nothing', () => {
  for (let k = 0; k < 100; k++) assert.deepEqual(new Bench().all(natural.slice(k * 30, (k + 1) * 30)), [])
  const random = seeded(7)
  const long = new Bench()
  for (let i = 0; i < 20_000; i++) assert.deepEqual(long.feed(random.pick(natural)), [])
})

for (const name of ['retries', 'health check', 'video', 'static camera 0.02', 're-encoding', 'slider', 'fades', 'drawing'])
  test(`ordinary clients: ${name}`, async () => {
    const kind = benignKinds.find((k) => k.name === name)
    assert.ok(kind !== undefined)
    for (let seed = 0; seed < 4; seed++) {
      const random = seeded(100 + seed)
      assert.deepEqual(new Bench().all(await observed(kind.requests(() => image(random.below(5_000)), random))), [])
    }
  })

test('an exact repeat counts for nothing, however odd it is', () => {
  const bench = new Bench()
  const odd: Fingerprint = { exact: 'ab'.repeat(8), residualTail: 1e-12, confidenceTail: 1e-12, classTail: 1e-12 }
  bench.feed(odd)
  const once = JSON.stringify(bench.state.wealth)
  for (let i = 0; i < 100; i++) assert.deepEqual(bench.feed(odd), [])
  assert.equal(JSON.stringify(bench.state.wealth), once)
})

test('three arbitrarily odd queries decide nothing', () => {
  const bench = new Bench()
  for (let i = 0; i < 3; i++)
    assert.deepEqual(bench.feed({ exact: `${i}`.repeat(16), residualTail: 1e-12, confidenceTail: 1e-12, classTail: 1e-12 }), [])
})

for (const { ratio, tail } of [
  { ratio: 1, tail: 0.7 },
  // 0.7 / 32
  { ratio: 0.5, tail: 0.021875 },
  { ratio: 2, tail: 1 },
])
  test(`chance of an own input at ${ratio} of the reference distance: ${tail}`, () => assert.equal(selfTail(ratio), tail))

test('a snapshot in mid-stream changes nothing', async () => {
  const stream = [...natural.slice(0, 150), ...(await attack('letters', 3, 40)), ...natural.slice(150, 200)]
  const run = (at: number) => {
    const bench = new Bench()
    return stream.flatMap((data, i) => {
      if (i === at) bench.state = extractionSweep.state.parse(JSON.parse(JSON.stringify(bench.state))) as State
      return [...bench.feed(data)]
    })
  }
  const undisturbed = run(-1)
  assert.ok(undisturbed.length >= 2)
  for (const at of [0, 1, 20, 151, 165, 210]) assert.deepEqual(run(at), undisturbed)
})

test('memory and state stay bounded', () => {
  const bench = new Bench()
  for (const query of natural) bench.feed(query)
  assert.equal(bench.state.recent.length, capacity.recent)
  assert.equal(bench.state.sample.length, capacity.sample)
  assert.ok(JSON.stringify(bench.state).length < 17_000, `${JSON.stringify(bench.state).length}`)
})

test('sketches of another key are not compared: the memory starts over, the evidence stays', () => {
  const bench = new Bench()
  for (const query of natural.slice(0, 50)) bench.feed(query)
  const { wealth } = bench.state
  const before = wealth.n
  bench.feed({ ...natural[60], epoch: 1 })
  assert.equal(bench.state.recent.length, 1)
  assert.equal(bench.state.wealth.n, before + 1)
})

test('the state key names model and principal and cannot be forged', () => {
  assert.equal(extractionSweep.scope(observation('fingerprint', 1, epoch, { model: 'digits', principal: 'bob' })), 'digits/bob')
  assert.equal(extractionSweep.scope(observation('flow', 1, epoch)), null)
})

test('odd fingerprints never throw, and every finding fits the contract', () => {
  const tail = double({ min: 0, max: 1, noNaN: true })
  const odd = record({
    sketch: constantFrom('', 'AAAA', '!!', 'AQIDBAUGBwgJ'),
    exact: constantFrom('0000000000000000', 'ffffffffffffffff', 'zzzzzzzzzzzzzzzz', '123456789abcdef0'),
    residualTail: tail,
    confidenceTail: tail,
    classTail: tail,
    referenceDistance: double({ min: 0, max: 1e6, noNaN: true }),
    output: record({ label: integer({ min: 0, max: 5_000 }), confidence: tail, margin: tail, entropy: tail }),
  })
  const host = {
    id: '0'.repeat(32),
    revision: 0,
    time: epoch,
    detector: extractionSweep.id,
    version: 1,
    scope: 'digits/alice',
    decidedBy: idOf(1),
  }
  check(
    property(array(odd, { maxLength: 60 }), (stream) => {
      const bench = new Bench()
      for (const f of bench.all(stream)) Finding.parse({ ...host, threats: extractionSweep.threats, ...f })
      extractionSweep.state.parse(JSON.parse(JSON.stringify(bench.state)))
    }),
    { seed: 5, numRuns: 200 },
  )
})
