import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import kafkajs from 'kafkajs'
import { murmur2, partitionOf } from '../../bus/partitioner.ts'

// org.apache.kafka.common.utils.UtilsTest, testMurmur2.
const known: [string, number][] = [
  ['21', -973932308],
  ['foobar', -790332482],
  ['a-little-bit-long-string', -985981536],
  ['a-little-bit-longer-string', -1486304829],
  ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
  ['abc', 479470107],
]

test('hashes as Kafka does', () => {
  for (const [text, hash] of known) assert.equal(murmur2(Buffer.from(text)), hash)
})

test('puts every key where the default partitioner of Kafka clients puts it', () => {
  const partitioner = kafkajs.Partitioners.DefaultPartitioner()
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 60 }), fc.integer({ min: 1, max: 50 }), (key, count) => {
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        partitionId,
        leader: 1,
        partitionErrorCode: 0,
        replicas: [1],
        isr: [1],
      }))
      assert.equal(partitionOf(key, count), partitioner({ topic: 't', partitionMetadata, message: { key, value: null } }))
    }),
    { seed: 3, numRuns: 1_000 },
  )
})
