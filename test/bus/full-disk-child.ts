import type { Logger } from 'pino'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { BusError } from '../../bus/errors.ts'

// Publishes until the disk (here: the largest file allowed) is full in the journal and in the index, then says what was taken.
const [, , path = ''] = process.argv
const failedTwice = Promise.withResolvers<void>()
let failures = 0
const log = {
  error: () => {
    if (++failures === 2) failedTwice.resolve()
  },
} as unknown as Logger
const bus = await createEmbeddedBus({ path, log })
await bus.ensureTopics([{ name: 't', partitions: 1, retentionMs: null }])
const value = Buffer.alloc(100_000, 'x')
let taken = 0
let refused = ''
while (refused === '') {
  try {
    await bus.publish([{ topic: 't', key: `k${taken}`, value, headers: {}, timestamp: taken }])
    taken++
  } catch (error) {
    refused = error instanceof BusError ? error.code : String(error)
  }
}
const alive = setInterval(() => {}, 1_000)
await failedTwice.promise
clearInterval(alive)
process.stdout.write(JSON.stringify({ taken, refused }))
process.exit(0)
