import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type FetchedMessage, toRecord } from '../../bus/kafka/messages.ts'

test('a header without a value, which any writer may send, is an empty one', () => {
  // As kafkajs decodes it; its types have no null.
  const headers = {
    none: null,
    twice: [Buffer.from('first'), null],
    last: [null, Buffer.from('last')],
  } as unknown as FetchedMessage['headers']
  const message = { key: null, value: null, timestamp: '1', offset: '7', ...(headers === undefined ? {} : { headers }) }
  const record = toRecord('requests', 0, message)
  assert.deepEqual(record.headers, { none: '', twice: '', last: 'last' })
})
