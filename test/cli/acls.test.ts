import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { aclCommands, aclsOf } from '../../bus/kafka/acls.ts'
import { topics } from '../../schemas/index.ts'

describe('rights of a role', () => {
  it('of a node: it writes events and reads what controls it', () => {
    const entries = aclsOf({ prefix: 'c.', roles: ['node'] })
    assert.ok(entries.every(({ principal, resource }) => principal === 'User:cordon-node' && resource === 'topic'))
    const named = (operation: string) => entries.filter((entry) => entry.operation === operation).map(({ name }) => name)
    const events = ['c.requests', 'c.fingerprints', 'c.prompts', 'c.telemetry', 'c.acknowledgements', 'c.spending', 'c.audit']
    assert.deepEqual(named('Write'), [...events, 'c.heartbeats'])
    assert.deepEqual(named('Read'), ['c.containments', 'c.keys', 'c.models', 'c.risks', 'c.shares'])
    assert.deepEqual(named('DescribeConfigs').sort(), [...named('Write'), ...named('Read')].sort())
    assert.deepEqual(named('Describe'), [])
  })

  it('only respond writes what controls others, and only the console looks at all groups', () => {
    const all = aclsOf({ prefix: '' })
    for (const { name, fenced } of Object.values(topics).map((spec) => ({ fenced: false, ...spec }))) {
      if (!fenced) continue
      const writers = all.filter((entry) => entry.name === name && entry.operation === 'Write').map(({ role }) => role)
      assert.deepEqual(writers, ['respond'], name)
    }
    const groups = all.filter(({ resource }) => resource === 'group')
    const seen = groups.filter(({ role }) => role === 'console').map(({ name, operation }) => `${operation} ${name}`)
    assert.deepEqual(seen, ['Describe sink', 'Describe replay', 'Describe detect', 'Describe respond'])
    assert.deepEqual(
      groups.filter(({ role }) => role !== 'console').map(({ role, name, operation }) => `${role}: ${operation} ${name}`),
      ['ingest: Read sink', 'ingest: Read replay', 'detect: Read detect', 'respond: Read respond'],
    )
  })

  it('are printed as calls of Kafka’s tool, one for each operation, with strange names quoted', () => {
    const entries = aclsOf({ prefix: 'c.', roles: ['detect'], principals: { detect: "User:CN=the o'clock" } })
    const calls = aclCommands(entries, ['a:1', 'b:2'])
    const start =
      "kafka-acls.sh --bootstrap-server a:1,b:2 --command-config admin.properties --add --allow-principal 'User:CN=the o'\\''clock'"
    assert.deepEqual(
      calls.map((call) => call.slice(0, start.length)),
      calls.map(() => start),
    )
    assert.deepEqual(
      calls.map((call) => call.slice(start.length)).filter((call) => call.includes('group')),
      [' --operation Read --group c.detect'],
    )
    assert.match(calls[0] ?? '', / --operation Write --topic c\.requests --topic c\.fingerprints /)
  })
})
