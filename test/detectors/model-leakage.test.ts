import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { array, assert as check, integer, property } from 'fast-check'
import type { FindingDraft } from '../../detectors/contract.ts'
import { compositionOf, estimate, merged } from '../../detectors/model-leakage/estimate.ts'
import { modelLeakage } from '../../detectors/model-leakage/model-leakage.ts'
import { State } from '../../detectors/model-leakage/state.ts'
import { add, blank, type Data, distinctOf, type Summary } from '../../detectors/model-leakage/summary.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import { Finding } from '../../schemas/index.ts'
import { seeded } from '../attacks/random.ts'
import { exposed } from '../benign/image.ts'
import { epoch, idOf, observation } from '../contracts/observations.ts'
import { openVictim } from '../lab/victim.ts'

const victim = await openVictim()
after(() => victim.close())
const images = loadMnist('test')
const ordinary = await observed(Array.from({ length: 2_500 }, (_, i) => images.images.subarray(i * pixels, (i + 1) * pixels)))

async function observed(list: readonly Float32Array[]): Promise<Data[]> {
  const found: Data[] = []
  for (let at = 0; at < list.length; at += 250)
    for (const { fingerprint } of await victim.observe(list.slice(at, at + 250)))
      found.push(observation('fingerprint', found.length, epoch, fingerprint).data)
  return found
}

function summaryOf(list: readonly Data[], change: Partial<Data> = {}): Summary {
  const summary = blank()
  for (const data of list) add(summary, { ...data, ...change })
  return summary
}

function fidelityOf(summary: Summary): number {
  return estimate(compositionOf(summary)).fidelity
}

/** Without what depends on the order. */
function countsOf({ sample, cells, epoch, carried, answers, seen }: Summary) {
  return { sample, cells, epoch, carried, answers, seen }
}

/** One principal's state. */
class Bench {
  readonly logic
  state: State
  seen = 0
  constructor(parameters: object = {}) {
    this.logic = modelLeakage.start(modelLeakage.params.parse(parameters))
    this.state = this.logic.initial(epoch)
  }
  feed(data: Data, everyMs = 1_000): readonly FindingDraft[] {
    const step = this.logic.onEvent(this.state, observation('fingerprint', this.seen, epoch + this.seen * everyMs, data))
    this.seen++
    if (step?.state) this.state = step.state
    return step?.findings ?? []
  }
  all(list: readonly Data[], everyMs?: number): FindingDraft[] {
    return list.flatMap((data) => [...this.feed(data, everyMs)])
  }
}

test('the more distinct ordinary inputs were answered, the more of the model has leaked', () => {
  const reached = [50, 100, 400, 1_600].map((n) => fidelityOf(summaryOf(ordinary.slice(0, n))))
  // What students of so many answers of this model reach: 0.76, 0.85, 0.95, 0.97 (test/lab/leakage.ts).
  for (const [i, truth] of [0.76, 0.85, 0.95, 0.97].entries()) {
    assert.ok(Math.abs((reached[i] ?? 0) - truth) < 0.1, `${reached[i]} where ${truth} is reached`)
    assert.ok(i === 0 || (reached[i] ?? 0) > (reached[i - 1] ?? 0), `not rising: ${reached}`)
  }
})

test('what was refused leaks nothing', () => {
  const bench = new Bench({ budget: 0.9, enforce: true })
  assert.deepEqual(bench.all(ordinary.map((data) => ({ ...data, answered: false }))), [])
  assert.equal(bench.state.summary.answers, 0)
})

test('repeats leak next to nothing', () => {
  const once = summaryOf(ordinary.slice(0, 50))
  const often = summaryOf(Array.from({ length: 1_000 }, (_, i) => ordinary[i % 50] as Data))
  assert.deepEqual(countsOf({ ...often, answers: 50 }), countsOf(once))
  assert.ok(Math.abs(fidelityOf(often) - fidelityOf(once)) < 0.05, `${fidelityOf(often)} after repeats, ${fidelityOf(once)} before`)
})

test('distinct inputs are counted to within two standard errors of 1/√32', () => {
  for (const n of [10, 100, 1_000, 2_500]) {
    const off = distinctOf(summaryOf(ordinary.slice(0, n))) / n - 1
    assert.ok(Math.abs(off) < 2 / Math.sqrt(32), `${n}: off by ${off}`)
  }
})

test('inputs outside of the ordinary tell less', async () => {
  const random = seeded(3)
  const noise = await observed(Array.from({ length: 400 }, () => Float32Array.from({ length: pixels }, () => random.next())))
  const [odd, plain] = [fidelityOf(summaryOf(noise)), fidelityOf(summaryOf(ordinary.slice(0, 400)))]
  assert.ok(odd < plain - 0.3, `${odd} of noise, ${plain} of ordinary inputs`)
})

test('variations of a few inputs tell little more than these', async () => {
  const bases = Array.from({ length: 10 }, (_, i) => images.images.slice(i * pixels, (i + 1) * pixels))
  const swept = bases.flatMap((base) => Array.from({ length: 40 }, (_, n) => exposed(base, 0.6 + 0.02 * n, 0)))
  const reached = fidelityOf(summaryOf(await observed(swept)))
  const [few, many] = [10, 400].map((n) => fidelityOf(summaryOf(ordinary.slice(0, n))))
  assert.ok(reached < (many ?? 0) - 0.2, `${reached} with 400 variations of 10 inputs, ${many} with 400 inputs`)
  assert.ok(reached > (few ?? 1) - 0.1, `${reached} with variations, ${few} without`)
})

test('who asks about one class alone has not copied the others', () => {
  const ones = summaryOf(ordinary.filter(({ output }) => output.label === 1))
  const [known, guessed] = [10, 0].map((classes) => estimate(compositionOf(ones, classes)).fidelity)
  assert.ok((known ?? 1) < 0.2, `${known}`)
  assert.ok((known ?? 1) < (guessed ?? 0), `${known} with the classes known, ${guessed} without`)
})

test('a label alone tells less where answers are few', () => {
  const few = ordinary.slice(0, 40)
  const reached = (['none', 'rounded', 'label-only'] as const).map((hardening) => fidelityOf(summaryOf(few, { hardening })))
  assert.ok((reached[2] ?? 1) < (reached[0] ?? 0), `${reached}`)
})

test('merging counts what one principal would have, had it asked it all', () => {
  check(
    property(array(integer({ min: 0, max: 5 }), { minLength: 300, maxLength: 300 }), (owners) => {
      const parts = Array.from({ length: 6 }, (_, owner) => summaryOf(ordinary.slice(0, 300).filter((__, i) => owners[i] === owner)))
      const [together, alone] = [merged(parts), summaryOf(ordinary.slice(0, 300))]
      assert.deepEqual(countsOf(together), countsOf(alone))
      // Each one's inputs are only compared with their own.
      assert.ok(Math.abs(fidelityOf(together) - fidelityOf(alone)) < 0.02)
    }),
    { numRuns: 20, seed: 1 },
  )
})

test('a rotated key forgets no cells', () => {
  const before = summaryOf(ordinary.slice(0, 300))
  const known = fidelityOf(before)
  add(before, { ...(ordinary[0] as Data), epoch: 1 })
  assert.ok(before.carried > 100)
  assert.ok(fidelityOf(before) >= known - 0.01)
  assert.equal(merged([summaryOf(ordinary.slice(0, 300)), before]).epoch, 1)
})

test('a quiet principal costs under 400 bytes of summary, a busy one under 1,000 in all, and survives JSON', () => {
  assert.ok(JSON.stringify(summaryOf(ordinary.slice(0, 3))).length < 400)
  const bench = new Bench()
  bench.all(ordinary)
  const text = JSON.stringify(bench.state)
  assert.ok(text.length < 1_000, `${text.length}`)
  assert.deepEqual(State.parse(JSON.parse(text)), bench.state)
})

test('an ordinary account of 300 inputs is no news', () => {
  assert.deepEqual(new Bench().all(ordinary.slice(0, 300)), [])
})

test('half of the budget and all of it are one finding, which contains nobody by default', () => {
  const found = new Bench({ budget: 0.95 }).all(ordinary)
  assert.deepEqual(
    found.map(({ severity }) => severity),
    ['info', 'info'],
  )
  assert.equal(new Set(found.map(({ opened }) => opened)).size, 1)
  for (const { confidence, title, evidence } of found) {
    assert.equal(confidence, 0.2)
    assert.match(title, /about/)
    const [low, high] = [Number(evidence['fidelityLow']), Number(evidence['fidelityHigh'])]
    assert.ok(low < Number(evidence['fidelity']) && Number(evidence['fidelity']) < high && high <= 1, `${low} to ${high}`)
  }
  // One new input a second.
  const { newPerHour, hoursToBudget, distinctForBudget, distinctEstimate } = found[0]?.evidence ?? {}
  assert.ok(Math.abs(Number(newPerHour) / 3_600 - 1) < 0.5, `${newPerHour}`)
  const left = Number(distinctForBudget) - Number(distinctEstimate)
  assert.ok(Math.abs(Number(hoursToBudget) * Number(newPerHour) - left) < 0.1 * left + 2)
})

test("an operator's budget stops a thief near the fidelity it names, and again when the containment would lapse", () => {
  const bench = new Bench({ models: { digits: { budget: 0.9 } }, renewMs: 600_000 })
  const found = bench.all(ordinary.slice(0, 1_500))
  const spent = found.filter(({ severity }) => severity === 'high')
  // Students reach 0.9 with 200 answers and 0.95 with 400.
  const at = spent[0]?.eventsSeen ?? Number.POSITIVE_INFINITY
  assert.ok(at >= 80 && at <= 400, `spent after ${at} answers`)
  assert.ok((spent[0]?.confidence ?? 0) >= 0.9)
  // 1,500 s at a query a second: every 600 s again.
  assert.ok(spent.length >= 2 && spent.length <= 4, `${spent.length} statements`)
})

test('the exempt, and models without a budget of their own, are left to theirs', () => {
  assert.deepEqual(new Bench({ budget: 0.8, exempt: ['alice'] }).all(ordinary), [])
  const found = new Bench({ models: { other: { budget: 0.5 } } }).all(ordinary.slice(0, 300))
  assert.deepEqual(found, [])
})

test('a new version starts anew, and the topic key is the model', () => {
  const key = (version: string) =>
    modelLeakage.scope(observation('fingerprint', 0, epoch, { model: 'digits', principal: 'alice', version })) ?? ''
  assert.notEqual(key('1'), key('2'))
  assert.equal(modelLeakage.topicKey?.(key('1')), 'digits')
})

test('what it states is a finding', () => {
  const [draft] = new Bench({ budget: 0.8, enforce: true }).all(ordinary)
  assert.ok(draft !== undefined)
  const { threats = [], ...rest } = draft
  const about = { id: '0'.repeat(32), revision: 0, time: epoch, detector: modelLeakage.id, version: 1, scope: 'digits/alice/1' }
  assert.doesNotThrow(() => Finding.parse({ ...rest, ...about, threats, decidedBy: idOf(1) }))
})

test('malformed fingerprints never throw', () => {
  const bench = new Bench()
  for (const exact of ['', 'zzzzzzzzzzzzzzzz', '0000000000000000'])
    for (const bands of ['', '%', 'AAAAAA=='])
      for (const referenceDistance of [0, 1e300])
        bench.feed({ ...(ordinary[0] as Data), exact, bands, referenceDistance, residualTail: 0, classTail: 0, confidenceTail: 0 })
  assert.doesNotThrow(() => State.parse(JSON.parse(JSON.stringify(bench.state))))
})
