import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { LastUsed } from '../../bounded/last-used.ts'

describe('a map of what was used last', () => {
  it('lets go of what was used least lately', () => {
    const map = new LastUsed<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    assert.equal(map.get('a'), 1)
    map.set('c', 3)
    assert.deepEqual([map.peek('a'), map.peek('b'), map.peek('c'), map.size], [1, undefined, 3, 2])
    assert.deepEqual([...map.values()], [1, 3])
  })

  it('does not use what is only looked at', () => {
    const map = new LastUsed<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.peek('a')
    map.set('c', 3)
    assert.deepEqual([...map.values()], [2, 3])
  })

  it('with room for none holds none', () => {
    const map = new LastUsed<string, number>(0)
    map.set('a', 1)
    map.set('b', 2)
    assert.equal(map.size, 0)
  })

  it('is what a list kept in order would be, whatever is done to it', () => {
    const step = fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.nat(30))
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 12 }), fc.array(step, { size: 'max', maxLength: 2_000 }), (most, steps) => {
        const map = new LastUsed<number, number>(most)
        let list: [key: number, value: number][] = []
        steps.forEach(([what, key], at) => {
          const held = list.find(([one]) => one === key)
          const others = list.filter(([one]) => one !== key)
          if (what === 'set') list = [...others, [key, at] as [number, number]].slice(-most)
          else if (what === 'delete') list = others
          else if (held !== undefined) list = [...others, held]
          if (what === 'set') map.set(key, at)
          else if (what === 'delete') assert.equal(map.delete(key), held !== undefined)
          else assert.equal(map.get(key), held?.[1])
          assert.equal(map.size, list.length)
        })
        assert.deepEqual(
          [...map.values()],
          list.map(([, value]) => value),
        )
      }),
      { numRuns: 200, seed: 7 },
    )
  })
})
