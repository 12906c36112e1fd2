import { writeSync } from 'node:fs'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'

/*
 * Publishes to the log in argv[2] until it is killed: calls of 1 to 9 records over three partitions, sixteen under way,
 * now and then one that needs several pages. Says on its standard output what was acknowledged, one line a call:
 * `<partition>@<offset>=<number> …`; and `commit <offset>` for what its group has committed.
 */
const bus = await createEmbeddedBus({ path: process.argv[2] ?? '' })
await bus.ensureTopics([{ name: 'numbers', partitions: 3, retentionMs: 3_600_000 }])
const known = await bus.partitions('numbers')
let next = known.reduce((sum, partition) => sum + partition.end, 0)

await bus.consume({
  group: 'readers',
  topics: ['numbers'],
  onBatch: async ({ partition, records }, { commit }) => {
    const offset = (records.at(-1)?.offset ?? 0) + 1
    await commit(offset)
    writeSync(1, `commit ${partition} ${offset}\n`)
  },
})

async function publisher(): Promise<never> {
  for (;;) {
    const count = 1 + (next % 9)
    const numbers = Array.from({ length: count }, () => next++)
    const positions = await bus.publish(
      numbers.map((number) => {
        const value = Buffer.alloc(number % 100 === 0 ? 50_000 : 200, number % 256)
        value.writeDoubleLE(number, 0)
        return { topic: 'numbers', key: String(number), value, headers: { n: String(number) }, timestamp: Date.now() }
      }),
    )
    writeSync(1, `${positions.map((position, i) => `${position.partition}@${position.offset}=${numbers[i]}`).join(' ')}\n`)
  }
}

writeSync(1, 'ready\n')
await Promise.all(Array.from({ length: 16 }, publisher))
