import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InferenceError } from '../../inference/errors.ts'
import { hello, openTextFixture } from './openai/scripted-text.ts'

test('a client of the OpenAI API cannot tell a drained pool from a busy one, nor can who reads the open metrics', async (t) => {
  const fixture = await openTextFixture()
  t.after(() => fixture.close())
  fixture.text.script = () => {
    throw new InferenceError('POOL_AWAY', 'no endpoint', { retryAfter: 60 })
  }
  const refused = async () => {
    const { status, body, headers } = await fixture.ask('/v1/chat/completions', hello)
    return [status, body, headers['retry-after']]
  }
  const counted = async () => {
    const { body } = await fixture.node.app.inject('/metrics')
    return body.split('\n').filter((line) => /^cordon_requests_total.*(overloaded|quarantined)/.test(line))
  }
  const busy = await refused()
  assert.deepEqual(await counted(), ['cordon_requests_total{outcome="overloaded"} 1'])
  await fixture.contain('pool:a', 'quarantine-pool')
  const drained = await refused()
  assert.deepEqual(drained, busy)
  assert.deepEqual(await counted(), ['cordon_requests_total{outcome="overloaded"} 2'])
  const outcomes = (await fixture.eventsOf('requests')).map(({ outcome }) => outcome)
  assert.deepEqual(outcomes, ['overloaded', 'quarantined'])
})
