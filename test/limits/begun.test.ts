import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Begun } from '../../limits/begun.ts'

const [month, next] = [Date.UTC(2026, 10, 1), Date.UTC(2026, 11, 1)]

describe('what was shared out before a process began', () => {
  test('is known until its window is over', () => {
    const begun = new Begun(10)
    begun.note(`budget|a|b|${month}`)
    assert.deepEqual([begun.has(`budget|a|b|${month}`), begun.has(`budget|a|${month}`)], [true, false])
    begun.forget(`budget|a|b|${month}`)
    assert.equal(begun.has(`budget|a|b|${month}`), false)
  })

  test('is all of that time, once there were more than it keeps; and nothing of later', () => {
    const begun = new Begun(2)
    for (const subject of ['a', 'b', 'a']) begun.note(`budget|${subject}|${month}`)
    assert.equal(begun.has(`budget|z|${month}`), false)
    begun.note(`budget|c|${month}`)
    assert.deepEqual([begun.has(`budget|c|${month}`), begun.has(`budget|z|${month}`), begun.has(`budget|a|${next}`)], [true, true, false])
  })
})
