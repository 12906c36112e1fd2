import assert from 'node:assert/strict'
import { test } from 'node:test'
import { attack } from '../hostile/attack.ts'

test('two thousand hostile requests: each is answered or cut off, none is a failure, and nothing of them is kept', async () => {
  const { tally } = await attack({ requests: 2_000, seed: 7 })
  // All kinds of ends were come to.
  for (const status of [200, 400, 401, 404, 413, 415, 422, 431]) assert.ok((tally.get(status) ?? 0) > 0, `no ${status}`)
})
