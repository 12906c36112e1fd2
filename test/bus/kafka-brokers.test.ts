import assert from 'node:assert/strict'
import { it } from 'node:test'
import { Brokers } from '../../bus/kafka/brokers.ts'
import { Complaints } from '../../bus/kafka/complaints.ts'
import { persist } from '../../bus/kafka/offsets.ts'

it('gives up at once what is still being tried when it is closed', async () => {
  // Nobody listens there.
  const brokers = new Brokers({ brokers: ['127.0.0.1:1'], clientId: 'test' }, new Complaints(undefined))
  const trying = persist(brokers, 600_000, 'asking', () => brokers.askAny(5_000, async () => assert.fail('it was asked')))
  await brokers.close()
  // Else a process whose start was refused would go on for as long as it has patience with brokers that are away.
  await assert.rejects(trying, { code: 'BUS_CLOSED' })
})
