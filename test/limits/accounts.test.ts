import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { Accounts } from '../../limits/accounts.ts'
import { Begun } from '../../limits/begun.ts'
import { payer, rule } from './payers.ts'

const at = Date.UTC(2026, 10, 22, 13)

/** Room for so many accounts, one for each key, and the subjects that made room in their order. */
function open(most: number) {
  const evicted: string[] = []
  const options = { rules: [rule({ over: 'key' })], nodes: 4, instance: 'a~1', most, begun: new Begun(10) }
  const accounts = new Accounts({ ...options, onEvict: ({ subject }) => void evicted.push(subject) })
  const use = (keyId: string, now: number) => {
    const [account] = accounts.of(payer({ keyId }), now)
    assert.ok(account !== undefined)
    account.want(1, 1_000, now)
    return account
  }
  return { accounts, evicted, use }
}

describe('where there is no room for another key', () => {
  it('goes one that was not used lately, and not one that was', () => {
    const { accounts, evicted, use } = open(3)
    const [a, b, c] = ['a', 'b', 'c'].map((key) => use(key, at))
    // A key counts as used for 10 s.
    use('a', at + 9_000)
    use('d', at + 11_000)
    assert.deepEqual([evicted, a?.closed, b?.closed, c?.closed, accounts.size], [['b'], false, true, false, 3])
    use('e', at + 11_000)
    use('f', at + 11_000)
    // All that were left were used lately, and one of them went all the same: the eighth look ends at d.
    assert.deepEqual([evicted, accounts.size], [['b', 'c', 'd'], 3])
    assert.notEqual(use('b', at + 11_000), b)
  })

  it('stays no more than the bound, however many come', () => {
    const { accounts, evicted, use } = open(50)
    for (let i = 0; i < 2_000; i++) use(`key-${i}`, at + i)
    assert.deepEqual([accounts.size, evicted.length, new Set(evicted).size], [50, 1_950, 1_950])
  })
})
