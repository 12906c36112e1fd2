import assert from 'node:assert/strict'
import { it } from 'node:test'
import { ownedPartitions } from '../../cli/partitions.ts'
import { instance } from '../console/ports.ts'

const read = (topic: string, partition: number, standby: boolean, offset: number, end: number) => ({
  topic,
  partition,
  standby,
  offset,
  end,
  lagMs: end > offset ? 250 : 0,
})

it('shows who reads each partition, who stands by, and what nobody reads', () => {
  const instances = [
    instance({ role: 'detect', instance: 'd1', assignments: [read('flows', 0, false, 90, 100), read('flows', 1, true, 50, 60)] }),
    instance({ role: 'detect', instance: 'd2', assignments: [read('flows', 1, false, 60, 60), read('flows', 0, true, 88, 100)] }),
    instance({ role: 'detect', instance: 'dead', alive: false, assignments: [read('flows', 2, false, 7, 7)] }),
    instance({ role: 'ingest', instance: 'i1', assignments: [read('flows', 0, false, 100, 100)] }),
  ]
  const topics = [0, 1, 2].map((partition) => ({
    topic: 'flows',
    partition,
    start: 0,
    end: 100,
    committed: { detect: 40, ...(partition === 0 ? { sink: 100 } : {}), somebody: 3 },
  }))
  assert.deepEqual(
    ownedPartitions(instances, topics).map((row) => Object.values(row)),
    [
      ['detect', 'flows', 0, 'd1', ['d2'], 90, 100, 10, 250],
      ['detect', 'flows', 1, 'd2', ['d1'], 60, 60, 0, 0],
      ['detect', 'flows', 2, null, [], 40, 100, 60, null],
      ['ingest', 'flows', 0, 'i1', [], 100, 100, 0, 0],
    ],
  )
})

it('knows the owner and the standby whichever spoke first', () => {
  const owner = instance({ role: 'detect', instance: 'owner', assignments: [read('flows', 0, false, 1, 2)] })
  const standby = instance({ role: 'detect', instance: 'standby', assignments: [read('flows', 0, true, 0, 2)] })
  assert.deepEqual(ownedPartitions([owner, standby], []), ownedPartitions([standby, owner], []))
})
