import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assign, decodeAssignment, encodeSubscription } from '../../bus/kafka/assigner.ts'
import { type Place, placeKey, type Sharer, share } from '../../bus/sharing.ts'

const counts = fc.dictionary(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 1, max: 12 }), { minKeys: 1, noNullPrototype: true })
const ids = fc.uniqueArray(fc.constantFrom('m1', 'm2', 'm3', 'm4', 'm5'), { minLength: 1 })

function sharer(id: string, topics: readonly string[], more: Partial<Sharer> = {}): Sharer {
  return { id, topics, together: false, owned: [], warm: [], ...more }
}

function shareAll(members: readonly Sharer[], count: Readonly<Record<string, number>>): Map<string, Place[]> {
  return share(members, new Map(Object.entries(count)))
}

function keysOf(places: readonly Place[] = []): string[] {
  return places.map(placeKey).sort()
}

test('gives every partition to one member, evenly in each topic', () => {
  fc.assert(
    fc.property(counts, ids, fc.boolean(), (count, members, together) => {
      const topics = Object.keys(count)
      const shares = shareAll(
        members.map((id) => sharer(id, topics, { together })),
        count,
      )
      const all = [...shares.values()].flat()
      assert.equal(new Set(all.map(placeKey)).size, all.length)
      assert.equal(
        all.length,
        Object.values(count).reduce((sum, each) => sum + each, 0),
      )
      if (together) return
      for (const topic of topics) {
        const sizes = [...shares.values()].map((places) => places.filter((place) => place.topic === topic).length)
        assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1, `${topic}: ${sizes}`)
      }
    }),
  )
})

test('together, equal numbers of all topics are with one member', () => {
  fc.assert(
    fc.property(counts, ids, (count, members) => {
      const topics = Object.keys(count)
      const shares = shareAll(
        members.map((id) => sharer(id, topics, { together: true })),
        count,
      )
      const holder = new Map<number, string>()
      for (const [id, places] of shares) {
        for (const { partition } of places) assert.equal(holder.get(partition) ?? id, holder.set(partition, id).get(partition))
      }
      const sizes = members.map((id) => new Set(shares.get(id)?.map(({ partition }) => partition)).size)
      assert.ok(Math.max(...sizes) - Math.min(...sizes) <= 1)
    }),
  )
})

test('leaves everything where it is when nobody came or went, and moves nothing between those who stay when one leaves', () => {
  fc.assert(
    fc.property(counts, ids, fc.boolean(), (count, members, together) => {
      const topics = Object.keys(count)
      const first = shareAll(
        members.map((id) => sharer(id, topics, { together })),
        count,
      )
      const again = members.map((id) => sharer(id, topics, { together, owned: first.get(id) ?? [] }))
      const second = shareAll(again, count)
      for (const id of members) assert.deepEqual(keysOf(second.get(id)), keysOf(first.get(id)))
      if (members.length === 1) return
      const third = shareAll(again.slice(1), count)
      for (const { id } of again.slice(1)) {
        const kept = new Set(keysOf(third.get(id)))
        assert.deepEqual(
          keysOf(first.get(id)).filter((key) => !kept.has(key)),
          [],
        )
      }
    }),
    // m1 has the only partitions of a and of c; then each of the three who stay has one of b, and m1 three in all.
    { examples: [[{ b: 3, a: 1, c: 1 }, ['m4', 'm2', 'm5', 'm1'], false]] },
  )
})

test('takes what one has more of in all for those who come', () => {
  const place = (topic: string, partition = 0): Place => ({ topic, partition })
  const stayed = [
    sharer('m1', ['a', 'b', 'c'], { owned: [place('a'), place('b', 0), place('c')] }),
    sharer('m2', ['a', 'b', 'c'], { owned: [place('b', 1)] }),
    sharer('m3', ['a', 'b', 'c'], { owned: [place('b', 2)] }),
  ]
  const sizes = (members: readonly Sharer[]) => [...shareAll(members, { a: 1, b: 3, c: 1 }).values()].map((places) => places.length)
  assert.deepEqual(sizes(stayed), [3, 1, 1])
  assert.deepEqual(sizes([...stayed, sharer('m4', ['a', 'b', 'c'])]).sort(), [1, 1, 1, 2])
})

test('gives what lost its owner to a member that is warm for it', () => {
  const place = (partition: number): Place => ({ topic: 'a', partition })
  const shares = shareAll(
    [
      sharer('m1', ['a'], { owned: [place(0), place(1)], warm: [place(5)] }),
      sharer('m2', ['a'], { owned: [place(2), place(3)], warm: [place(4)] }),
    ],
    { a: 6 },
  )
  assert.deepEqual(keysOf(shares.get('m1')), ['a/0', 'a/1', 'a/5'])
  assert.deepEqual(keysOf(shares.get('m2')), ['a/2', 'a/3', 'a/4'])
})

function member(id: string, generation: number, owned: readonly Place[], topics = ['a']): { memberId: string; memberMetadata: Buffer } {
  return { memberId: id, memberMetadata: encodeSubscription({ topics, generation, together: false, owned, warm: [] }) }
}

function assigned(members: readonly { memberId: string; memberMetadata: Buffer }[], partitions: number): Map<string, string[]> {
  const assignments = assign(members, new Map([['a', partitions]]))
  return new Map(assignments.map(({ memberId, memberAssignment }) => [memberId, keysOf(decodeAssignment(memberAssignment))]))
}

test('gives nobody what another member still holds, and comes to rest in two rounds', () => {
  const places = Array.from({ length: 4 }, (_, partition) => ({ topic: 'a', partition }))
  const first = assigned([member('m1', 1, places), member('m2', -1, [])], 4)
  const kept = first.get('m1') ?? []
  assert.equal(kept.length, 2)
  assert.deepEqual(first.get('m2'), [])
  const rest = places.filter((place) => kept.includes(placeKey(place)))
  const second = assigned([member('m1', 2, rest), member('m2', 2, [])], 4)
  assert.deepEqual(second.get('m1'), kept)
  assert.equal(second.get('m2')?.length, 2)
})

test('believes the later of two that claim the same, and takes one that says nothing readable to own nothing', () => {
  const claim = [{ topic: 'a', partition: 0 }]
  const both = assigned([member('m1', 3, claim), member('m2', 7, claim)], 1)
  assert.deepEqual([both.get('m1'), both.get('m2')], [[], ['a/0']])
  const garbled = member('m1', 1, claim)
  const broken = { memberId: 'm0', memberMetadata: garbled.memberMetadata.subarray(0, garbled.memberMetadata.length - 3) }
  assert.doesNotThrow(() => assigned([broken, member('m2', 2, [])], 1))
})
