import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Chains } from '../../detectors/extraction-ring/chains.ts'
import { anyLabel, type Neighbours, SketchRing } from '../../detectors/extraction-ring/sketch-ring.ts'
import { type Random, seeded } from '../attacks/random.ts'

const capacity = 13
const dimensions = 96

interface Sent {
  readonly vector: Int16Array
  readonly owner: number
  readonly label: number
}

/** Half of them a small step from an earlier one, some the very same. */
function sketch(random: Random, before: readonly Sent[]): Int16Array {
  const near = before.length > 0 && random.next() < 0.5 ? random.pick(before).vector : null
  const step = random.below(4) * 40
  return Int16Array.from({ length: dimensions }, (_, i) =>
    near === null ? random.normal() * 900 : (near[i] ?? 0) + random.normal() * step,
  )
}

function squared(a: Int16Array, b: Int16Array): number {
  return a.reduce((sum, value, i) => sum + (value - (b[i] ?? 0)) ** 2, 0)
}

/** By comparing with everything that the ring still has. */
function expected(sent: readonly Sent[], { vector, owner, label }: Sent, radius: number) {
  const within = sent.slice(-capacity).map((each) => ({ ...each, squared: squared(each.vector, vector) }))
  const near = within.filter((each) => each.squared < radius * radius)
  const own = near.filter((each) => each.owner === owner)
  const others = near.filter((each) => each.owner !== owner && each.squared > 0 && (label === anyLabel || each.label === label))
  const least = (of: readonly { squared: number }[]) => Math.sqrt(Math.min(...of.map((each) => each.squared)))
  return {
    own: least(own.filter((each) => each.squared > 0)),
    other: least(others),
    others: others.length,
    repeated: own.some((each) => each.squared === 0),
  }
}

test('the nearest sketches are those of a comparison with everything, however often the ring came round', () => {
  const out: Neighbours = { own: 0, other: 0, otherOwner: 0, otherRise: 0, otherOutside: 0, otherCommon: 0, others: 0, repeated: false }
  for (let seed = 1; seed <= 4; seed++) {
    const random = seeded(seed)
    let ring = new SketchRing(capacity)
    const sent: Sent[] = []
    for (let n = 0; n < 200; n++) {
      const one = { vector: sketch(random, sent.slice(-capacity)), owner: 1 + random.below(40), label: random.below(3) * 64 }
      assert.ok(ring.accepts(one.vector))
      for (const label of [one.label, anyLabel]) {
        const radius = random.between(100, 12_000)
        ring.nearest(one.vector, one.owner, label, radius, out)
        const { own, other, others, repeated } = out
        assert.deepEqual({ own, other, others, repeated }, expected(sent, { ...one, label }, radius))
      }
      ring.add(one.vector, one.owner, one.label)
      sent.push(one)
      if (n % 17 === 0) ring = SketchRing.from(JSON.parse(JSON.stringify(ring)))
    }
  }
})

test('a chain has the slots of its bucket that were not overwritten, ascending', () => {
  const random = seeded(9)
  const chains = new Chains(capacity, 4)
  const keys: number[] = []
  const out = new Int32Array(capacity)
  for (let number = 1; number <= 300; number++) {
    // Long stretches without one of the keys.
    const key = random.below(number % 50 < 25 ? 4 : 3)
    chains.add(number, key)
    keys[(number - 1) % capacity] = key
    for (let wanted = 0; wanted < 4; wanted++) {
      const slots = [...keys.keys()].filter((slot) => keys[slot] === wanted)
      assert.deepEqual([...out.subarray(0, chains.find(wanted + 4, number, out))], slots)
    }
  }
})
