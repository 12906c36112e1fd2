import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { array, assert as check, constantFrom, double, integer, property, record } from 'fast-check'
import type { FindingDraft } from '../../detectors/contract.ts'
import { extractionSweep } from '../../detectors/extraction-sweep/extraction-sweep.ts'
import { selfTail } from '../../detectors/extraction-sweep/judge.ts'
import { capacity, coordinatesOf, hashOf, Memory } from '../../detectors/extraction-sweep/memory.ts'
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
  readonly #everyMs: number
  constructor(everyMs = 1_000) {
    this.#everyMs = everyMs
  }
  feed(data: Fingerprint): readonly FindingDraft[] {
    const step = this.logic.onEvent(this.state, observation('fingerprint', this.seen, epoch + this.seen * this.#everyMs, data))
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

const forgettable = { chain: 0, returns: 0, strangeness: 0, classDoubt: 0 }
const natural = await observed(Array.from({ length: 3_000 }, (_, i) => image(5_000 + i)))

/** The first finding that is at least this sure, and the query that it came with. */
function firstAt(stream: readonly Fingerprint[], confidence: number): number {
  const bench = new Bench()
  const at = stream.findIndex((data) => bench.feed(data).some((f) => f.confidence >= confidence))
  return at < 0 ? Number.POSITIVE_INFINITY : at + 1
}

for (const { name, likely, certain } of [
  // Six odd queries that nothing explains, before anything is done: a camera, a frame or a patch cannot be told from fewer.
  { name: 'uniform noise', likely: 6, certain: 7 },
  { name: 'crops', likely: 12, certain: 14 },
  { name: 'textures', likely: 6, certain: 10 },
  { name: 'letters', likely: 25, certain: 40 },
  { name: 'shapes', likely: 14, certain: 20 },
])
  test(`${name}: throttled by query ${likely}, certain by query ${certain}, on five seeds`, async () => {
    for (let seed = 0; seed < 5; seed++) {
      const stream = await attack(name, seed, certain)
      const found = [firstAt(stream, 0.7), firstAt(stream, 0.9)]
      assert.ok((found[0] ?? 0) <= likely && (found[1] ?? 0) <= certain, `seed ${seed}: ${found}`)
      assert.equal(new Set(new Bench().all(stream).map(({ opened }) => opened)).size, 1)
    }
  })

test('a theft that goes on is stated again, at most every four minutes, so that no lease about it runs out', async () => {
  const bench = new Bench(60_000)
  const theft = await attack('uniform noise', 5, 60)
  const stated = theft.flatMap((data, minute) => (bench.feed(data).some(({ confidence }) => confidence >= 0.9) ? [minute] : []))
  const gaps = stated.slice(1).map((at, i) => at - (stated[i] ?? 0))
  assert.ok(stated.length >= 12 && gaps.every((gap) => gap <= 5), `stated at ${stated.join(', ')}`)
  assert.ok(gaps.slice(1).every((gap) => gap >= 4))
})

test('inverted digits are noted by query 10, and nothing is done: a client with white paper asks the same', async () => {
  for (let seed = 0; seed < 5; seed++) {
    const stream = await attack('inverted digits', seed, 150)
    assert.ok(firstAt(stream, 0.4) <= 10)
    const findings = new Bench().all(stream)
    assert.ok(findings.every((f) => f.confidence < 0.5))
    assert.ok(findings.every((f) => f.severity === 'low'))
  }
})

test('Jacobian augmentation is seen within 15 queries of its 150 seeds, and never beyond medium: an ensemble does alike', async () => {
  const bench = new Bench()
  const findings = bench.all(await attack('Jacobian augmentation', 1, 165))
  assert.equal(findings[0]?.evidence['leading'], 'return')
  assert.ok(bench.seen > 150)
  assert.ok(findings.every((f) => f.severity === 'medium'))
})

for (const name of ['uniform noise', 'textures'])
  test(`${name}: padding with nine ordinary queries to one does not bury it`, async () => {
    const bench = new Bench()
    const random = seeded(5)
    const stream = (await attack(name, 5, 25)).flatMap((query) => [...Array.from({ length: 9 }, () => random.pick(natural)), query])
    const first = stream.findIndex((data) => bench.feed(data).length > 0) + 1
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

for (const name of [
  'retries',
  'health check',
  'video',
  'static camera 0.02',
  're-encoding',
  'slider',
  'fades',
  'drawing',
  'smoothing',
  'occlusion map',
])
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

for (const { ratio, among, tail } of [
  // 8 · 10 · 1⁶ against 200 references: 80 / 280
  { ratio: 1, among: 10, tail: 2 / 7 },
  // 8 · 10 / 64 = 1.25; 1.25 / 201.25
  { ratio: 0.5, among: 10, tail: 1.25 / 201.25 },
  { ratio: 0.5, among: 0, tail: 0 },
])
  test(`chance of one of ${among} own inputs at ${ratio} of the reference distance: ${tail.toPrecision(2)}`, () => {
    assert.ok(Math.abs(selfTail(ratio, among, 200) - tail) < 1e-12)
  })

test('ordinary queries come near to own ones at most twice as often as is assumed, even where all have one label', () => {
  for (const own of [natural, natural.filter((f) => f.output?.label === 1)]) {
    const counts = new Map([0.1, 0.03, 0.01].map((level) => [level, 0]))
    let all = 0
    for (let client = 0; client < 20; client++) {
      const random = seeded(300 + client)
      const memory = new Memory()
      for (let i = 0; i < 150; i++) {
        const data = observation('fingerprint', i, epoch, random.pick(own)).data
        if (memory.has(hashOf(data))) continue
        const values = coordinatesOf(data)
        const older = memory.nearestOlder(values, data.output.label)
        const tail = older.row < 0 ? 1 : selfTail(older.distance / data.referenceDistance, older.among, 200)
        for (const [level, count] of counts) if (tail <= level) counts.set(level, count + 1)
        all++
        memory.remember({ ...forgettable, hash: hashOf(data), label: data.output.label }, values, capacity.sample)
      }
    }
    for (const [level, count] of counts) assert.ok(count / all <= 2.5 * level, `${level}: ${count / all}`)
  }
})

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

test('memory grows with use and suspicion, and shrinks where an account grows old without any', () => {
  const bench = new Bench()
  for (const query of natural.slice(0, 5)) bench.feed(query)
  assert.ok(bench.state.memory.bytes <= 8 * 96, `${bench.state.memory.bytes}`)
  for (const query of natural.slice(5, 300)) bench.feed(query)
  assert.equal(bench.state.memory.size, capacity.recent + capacity.sample)
  assert.ok(JSON.stringify(bench.state).length < 21_000, `${JSON.stringify(bench.state).length}`)
  for (const query of natural.slice(300)) bench.feed(query)
  assert.equal(bench.state.memory.size, capacity.recent + capacity.calmSample)
  assert.ok(bench.state.memory.bytes <= 2_048, `${bench.state.memory.bytes}`)
})

for (const { name, noted, acted } of [
  // A line is one after seven queries, and slides and fades go along a few: the fifth is noted, the seventh acted on.
  { name: 'interpolation', noted: 4 * 11 + 7, acted: 6 * 11 + 7 },
  { name: 'brightness sweep', noted: 5 * 16 + 7, acted: 8 * 16 + 7 },
  // A grid shows in its second row, at the third input here; values changed one at a time after eight of them.
  { name: 'grid sweep', noted: 230, acted: 230 },
  { name: 'one pixel at a time', noted: 2 * 64 + 10, acted: 2 * 64 + 10 },
])
  test(`${name}: noted by query ${noted}, acted on by query ${acted}, and never more than rounded answers`, async () => {
    const stream = await attack(name, 2, acted)
    assert.ok(firstAt(stream, 0.4) <= noted, `${firstAt(stream, 0.4)}`)
    assert.ok(firstAt(stream, 0.5) <= acted, `${firstAt(stream, 0.5)}`)
    assert.equal(firstAt(stream, 0.7), Number.POSITIVE_INFINITY)
  })

test('framed, dim or inverted, soft or grainy: all inputs unlike in the same way are noted at most', async () => {
  const kind = benignKinds.find(({ name }) => name === 'shifted')
  for (let seed = 0; seed < 8; seed++) {
    const random = seeded(200 + seed)
    const found = new Bench().all(await observed(kind?.requests(() => image(random.below(5_000)), random) ?? []))
    assert.ok(found.every(({ confidence }) => confidence < 0.5))
  }
})

test('a patch of any size over one input is one input', async () => {
  const bench = new Bench()
  const base = image(3)
  const covered = Array.from({ length: 36 }, (_, k) =>
    base.map((value, i) => {
      const [row, column] = [Math.floor(i / 28) - 4 * Math.floor(k / 6), (i % 28) - 4 * (k % 6)]
      return row >= 0 && row < 8 && column >= 0 && column < 8 ? 1 : value
    }),
  )
  assert.deepEqual(bench.all(await observed(covered)), [])
  assert.ok((bench.state.odd[0] ?? 0) <= 8, 'hardly any of them counts as odd')
})

test('sketches of another key are not compared: the memory starts over, the evidence stays', () => {
  const bench = new Bench()
  for (const query of natural.slice(0, 50)) bench.feed(query)
  const { wealth } = bench.state
  const before = wealth.n
  bench.feed({ ...natural[60], epoch: 1 })
  assert.equal(bench.state.memory.size, 1)
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
