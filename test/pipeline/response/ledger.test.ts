import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { ActionLedger } from '../../../pipeline/response/ledger.ts'
import { action, minute, start } from '../../responders/given.ts'

describe('the ledger', () => {
  it('settles what was done or is waiting, and leaves open what failed', () => {
    const ledger = new ActionLedger(10)
    const states = ['planned', 'executed', 'awaiting-approval', 'would-have', 'failed', 'reverted'] as const
    const open = states.map((state) => {
      ledger.put(action({ id: state, state }))
      return ledger.isOpen(state)
    })
    assert.deepEqual([...open, ledger.isOpen('unknown')], [false, false, false, false, true, false, true])
    ledger.begin(action({ id: 'failed' }))
    assert.equal(ledger.isOpen('failed'), false)
  })

  it('forgets the longest untouched, waiting ones last', () => {
    const ledger = new ActionLedger(3)
    ledger.put(action({ id: 'a', state: 'awaiting-approval', target: 'principal:a' }))
    for (const id of ['b', 'c', 'd', 'e']) ledger.put(action({ id, state: 'executed', target: `principal:${id}` }))
    assert.deepEqual(
      ledger.list().map(({ id }) => id),
      ['a', 'd', 'e'],
    )
    assert.deepEqual([ledger.ofLease('principal:b/throttle-principal'), ledger.ofLease('principal:e/throttle-principal').length], [[], 1])
  })

  it('counts the actions of the last minute', () => {
    const ledger = new ActionLedger(3)
    ledger.noteExecuted(start)
    ledger.noteExecuted(start + minute / 2)
    ledger.begin(action())
    assert.deepEqual([ledger.recent(start + minute - 1), ledger.recent(start + minute), ledger.recent(start + 2 * minute)], [3, 2, 1])
  })
})
