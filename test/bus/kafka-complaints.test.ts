import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from 'pino'
import { Complaints } from '../../bus/kafka/complaints.ts'
import { Outage } from '../../bus/kafka/outage.ts'

function given(): { complaints: Complaints; lines: string[]; pass: (ms: number) => void } {
  const lines: string[] = []
  let now = 0
  const log = {
    warn: ({ broker = '' }: { broker?: string }, message: string) => void lines.push(`${broker} ${message}`),
    info: ({ broker, forMs, times }: { broker: string; forMs: number; times: number }, message: string) =>
      void lines.push(`${broker} ${message} ${forMs} ${times}`),
  } as unknown as Logger
  return { complaints: new Complaints(log, () => now), lines, pass: (ms) => void (now += ms) }
}

test('a broker that is away is complained of once, however often it is tried', () => {
  const { complaints, lines, pass } = given()
  for (let tries = 0; tries < 1_000; tries++) {
    for (const broker of ['a:1', 'b:1']) complaints.note(broker, 'ECONNREFUSED', { broker })
    complaints.note('', 'no seed broker', {})
    pass(100)
  }
  assert.deepEqual(lines, ['a:1 kafka: ECONNREFUSED', 'b:1 kafka: ECONNREFUSED', ' kafka: no seed broker'])
})

test('it is over when the broker answers and nothing was wrong for a while', () => {
  const { complaints, lines, pass } = given()
  complaints.note('a:1', 'ECONNREFUSED', { broker: 'a:1' })
  pass(4_000)
  complaints.note('a:1', 'ECONNREFUSED', { broker: 'a:1' })
  pass(9_000)
  // One of its connections works; others may not yet.
  complaints.heard('a:1')
  complaints.heard('b:1')
  assert.equal(lines.length, 1)
  pass(1_000)
  complaints.heard('a:1')
  complaints.heard('a:1')
  assert.deepEqual(lines.slice(1), ['a:1 kafka: over, the broker answers again 4000 2'])
  complaints.note('a:1', 'ECONNRESET', { broker: 'a:1' })
  assert.deepEqual(lines.slice(2), ['a:1 kafka: ECONNRESET'])
})

test('each kind of failure is told once, until there is success', () => {
  const told: string[] = []
  const outage = new Outage((error) => told.push((error as Error).message))
  const refused = Object.assign(new Error('refused'), { type: 'TOPIC_AUTHORIZATION_FAILED' })
  for (const error of [new Error('away'), new Error('away'), refused, new Error('away'), refused]) outage.failed(error)
  assert.deepEqual(told, ['away', 'refused'])
  outage.over()
  outage.failed(new Error('away again'))
  assert.deepEqual(told, ['away', 'refused', 'away again'])
})
