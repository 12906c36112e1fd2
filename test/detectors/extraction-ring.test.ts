import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import type { FindingDraft } from '../../detectors/contract.ts'
import { Accounts, wager, weightOf } from '../../detectors/extraction-ring/accounts.ts'
import { bettor, nearTail } from '../../detectors/extraction-ring/evidence.ts'
import { extractionRing } from '../../detectors/extraction-ring/extraction-ring.ts'
import { count, judge, openGroup, ringsOf } from '../../detectors/extraction-ring/group.ts'
import { anyLabel, SketchRing } from '../../detectors/extraction-ring/sketch-ring.ts'
import { likeness, sharedBy } from '../../detectors/extraction-ring/traits.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { DataOf } from '../../schemas/index.ts'
import { extractionAttacks } from '../attacks/extraction-attacks.ts'
import { seeded } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import { epoch, idOf, observation } from '../contracts/observations.ts'
import { openVictim } from '../lab/victim.ts'

type Fingerprint = Partial<DataOf<'fingerprint'>>

const victim = await openVictim()
after(() => victim.close())
const images = loadMnist('test')
const image = (i: number) => images.images.subarray(i * pixels, (i + 1) * pixels)
const parameters = extractionRing.params.parse({})

/** One model's state. */
class Bench {
  readonly logic = extractionRing.start(parameters)
  state = this.logic.initial(epoch)
  seen = 0
  readonly named = new Set<string>()
  readonly findings: FindingDraft[] = []
  feed(principal: string, data: Fingerprint): void {
    const event = observation('fingerprint', this.seen, epoch + this.seen++ * 1_000, { client: '', agent: '', ...data, principal })
    const step = this.logic.onEvent(this.state, event)
    for (const finding of step?.findings ?? []) {
      this.findings.push(finding)
      for (const each of finding.principals) this.named.add(each)
    }
  }
}

async function observed(list: readonly Float32Array[]): Promise<Fingerprint[]> {
  const found: Fingerprint[] = []
  for (let at = 0; at < list.length; at += 250)
    for (const { fingerprint } of await victim.observe(list.slice(at, at + 250))) found.push(fingerprint)
  return found
}

async function attack(name: string, seed: number, length: number): Promise<Fingerprint[]> {
  const random = seeded(seed)
  const queries = extractionAttacks.find((each) => each.name === name)?.queries(() => image(random.below(5_000)), random)
  return observed(Array.from({ length }, () => queries?.next(new Float32Array(10)).value ?? new Float32Array(pixels)))
}

const natural = await observed(Array.from({ length: 1_200 }, (_, i) => image(5_000 + i)))
const noise = await attack('uniform noise', 1, 120)
const letters = await attack('letters', 1, 400)

test('noise from 40 accounts: all are named by their third query, in one finding that grows', () => {
  const bench = new Bench()
  for (const [n, query] of noise.entries()) bench.feed(`thief-${n % 40}`, query)
  assert.equal(bench.named.size, 40)
  assert.ok((bench.findings[0]?.eventsSeen ?? 0) <= 80)
  assert.equal(new Set(bench.findings.map(({ opened }) => opened)).size, 1)
  const last = bench.findings.at(-1)
  assert.equal(last?.principals.length, 40)
  assert.ok((last?.confidence ?? 0) >= 0.9)
})

test('letters from 100 accounts among 100 honest ones: three in ten within four queries, and no honest one', () => {
  const bench = new Bench()
  const random = seeded(3)
  for (const [n, query] of letters.entries()) {
    bench.feed(`thief-${n % 100}`, query)
    bench.feed(`honest-${n % 100}`, random.pick(natural))
  }
  const thieves = [...bench.named].filter((name) => name.startsWith('thief'))
  assert.ok(thieves.length >= 30, `${thieves.length}`)
  assert.equal(thieves.length, bench.named.size)
})

test('ordinary accounts raise nothing, nor does one account alone, however odd', () => {
  const bench = new Bench()
  for (const [n, query] of natural.entries()) bench.feed(`honest-${n % 150}`, query)
  for (const query of noise) bench.feed('lonely', query)
  assert.deepEqual(bench.findings, [])
})

for (const name of ['shifted', 'drawing', 'occlusion map', 'smoothing'])
  test(`thirty honest clients that came at once, ${name}, are no ring`, async () => {
    const kind = benignKinds.find((each) => each.name === name)
    const bench = new Bench()
    const streams: Fingerprint[][] = []
    for (let c = 0; c < 30; c++) {
      const random = seeded(9_000 + c)
      streams.push((await observed(kind?.requests(() => image(random.below(5_000)), random) ?? [])).slice(0, 40))
    }
    for (let q = 0; q < 40; q++)
      for (const [c, stream] of streams.entries()) for (const query of stream.slice(q, q + 1)) bench.feed(`${name}-${c}`, query)
    assert.deepEqual([...bench.named], [])
  })

test('an odd input is one input, however often it is sent again: by a hundred accounts, or each of thirty its own', () => {
  const bench = new Bench()
  for (let n = 0; n < 1_000; n++) bench.feed(`probe-${n % 100}`, noise[0] as Fingerprint)
  assert.deepEqual(bench.findings, [])
  // Thirty accounts with evidence, but none with two pieces of it.
  const other = new Bench()
  for (let n = 0; n < 150; n++) other.feed(`own-${n % 30}`, noise[1 + (n % 30)] as Fingerprint)
  assert.deepEqual(other.findings, [])
})

test('an account with ordinary queries joins by two rare traits, not by one, and not by those of an office', () => {
  const bench = new Bench()
  const office = { client: 'office', agent: 'browser' }
  for (let n = 0; n < 300; n++) bench.feed(`honest-${n}`, { ...(natural[n] as Fingerprint), ...office })
  bench.feed('warming', { ...(natural[300] as Fingerprint), client: 'cellar', agent: 'script' })
  for (const [n, query] of noise.entries()) {
    if (n === 5) bench.feed('neighbour', { ...(natural[301] as Fingerprint), client: 'cellar', agent: 'browser' })
    bench.feed(`thief-${n % 30}`, { ...query, client: 'cellar', agent: 'script' })
  }
  assert.ok(bench.named.has('thief-7'))
  assert.ok(bench.named.has('warming'))
  assert.ok(!bench.named.has('neighbour'))
  assert.ok(![...bench.named].some((name) => name.startsWith('honest')))
  const because = bench.findings.flatMap(({ evidence }) => evidence['joinedBecause'] as string[])
  assert.ok(because.includes('same address, same agent'))
})

test('an address is worth what it is rare: 30 at most alone with the ring, nothing where hundreds have it', () => {
  const accounts = new Accounts(1_024)
  const add = (name: string, client: string) =>
    accounts.add({ principal: name, organization: null, client, agent: '', keyCreatedAt: null }, epoch).added
  const group = openGroup([], 1, idOf(1), epoch, 1)
  for (let i = 0; i < 10; i++) Object.assign(add(`thief-${i}`, i < 5 ? 'cellar' : 'office'), { group: 1, named: 1 })
  for (let i = 0; i < 490; i++) add(`honest-${i}`, 'office')
  const [rare, common] = [add('rare', 'cellar'), add('common', 'office')]
  const shared = sharedBy(group.id, accounts.all())
  // In the ring 5 of 10; outside nobody else: (0 + 1) / (502 − 10 + 10) = 1/502, so 251, capped.
  assert.deepEqual(likeness(rare, shared, accounts.traits, accounts.size), { ratio: 30, kinds: ['client'] })
  // 5 of 10 against 491 / 502: less than one, which is no reason.
  assert.deepEqual(likeness(common, shared, accounts.traits, accounts.size), { ratio: 1, kinds: [] })
})

test('however odd, an account counts for at most share / oddShare; twenty in two thousand are no ring', () => {
  const accounts = new Accounts(4_096)
  const group = openGroup([], 1, idOf(1), epoch, 1)
  for (let i = 0; i < 20; i++) {
    const { added } = accounts.add({ principal: `p${i}`, organization: null, client: '', agent: '', keyCreatedAt: null }, epoch)
    for (let q = 0; q < 50; q++) wager(added, 20)
    assert.equal(weightOf(added), 1e9)
    count(group, added, 1, parameters)
  }
  // 20 of 20: the largest share, 0.98, dominates: 20 · ln(0.98 / 0.02) = 77.8, less ln 6 for six shares.
  assert.ok(Math.abs(judge(group, 20, parameters).evidence - 76) < 1)
  // 20 of 2,000: 0.05 is the least share bet on: 20 · ln 2.5 − 1,980 · ln(0.98 / 0.95) = −43, less ln 6.
  assert.ok(Math.abs(judge(group, 2_000, parameters).evidence + 45) < 2)
})

test('bets are fair: at most 1 on average over uniform p-values with one in a hundred as odd as can be', () => {
  const bet = bettor({ cap: 30, junk: 0.01, inflation: 1 })
  let sum = 0
  const steps = 100_000
  for (let i = 0; i < steps; i++) sum += bet((i + 0.5) / steps)
  assert.ok((0.99 * sum) / steps + 0.01 * bet(0) <= 1.001)
  // 0.05 · (0.27 / 0.54)^8 = 0.05 / 256
  assert.ok(Math.abs(nearTail(0.27, 0.5) - 0.05 / 256) < 1e-12)
  assert.equal(nearTail(0.27, 1e-6), 1)
})

test('the nearest of the own and of others come from one scan, exactly, and the oldest sketch gives way', () => {
  const ring = new SketchRing(2)
  const at = (x: number) => Int16Array.from({ length: 96 }, (_, i) => (i === 0 ? x : 0))
  const out = { own: 0, other: 0, otherOwner: 0, otherRise: 0, otherOutside: 0, otherCommon: 0, others: 0, repeated: false }
  assert.ok(ring.accepts(at(0)))
  ring.add(at(10), 1, 0)
  ring.add(at(40), 2, 0)
  ring.nearest(at(13), 1, anyLabel, 100, out)
  assert.deepEqual([out.own, out.other, out.otherOwner], [3, 27, 2])
  ring.add(at(14), 3, 0)
  ring.nearest(at(13), 1, anyLabel, 100, out)
  assert.deepEqual([out.own, out.other, out.otherOwner], [Number.POSITIVE_INFINITY, 1, 3])
})

test('20,000 accounts leave a bounded state; a ring that is larger than one finding opens the next', () => {
  const bench = new Bench()
  for (let n = 0; n < 20_000; n++) bench.feed(`flood-${n}`, natural[n % natural.length] as Fingerprint)
  assert.equal(bench.state.accounts.size, parameters.accounts)
  assert.ok(JSON.stringify(bench.state).length < 4e6)
  for (let n = 0; n < 700; n++) bench.feed(`thief-${n % 350}`, { ...(noise[n % 120] as Fingerprint) })
  assert.ok(bench.findings.every(({ principals }) => principals.length <= 256))
  const names = ringsOf(bench.state.groups).flatMap(({ principals }) => principals)
  assert.ok(names.every((name) => bench.named.has(name)))
})
