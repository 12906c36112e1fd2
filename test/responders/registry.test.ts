import assert from 'node:assert/strict'
import { it } from 'node:test'
import { responders } from '../../responders/registry.ts'
import { responderContract } from '../contracts/responder.ts'

for (const responder of responders) responderContract(responder)

it('names each responder once', () => {
  assert.equal(new Set(responders.map(({ id }) => id)).size, responders.length)
})
