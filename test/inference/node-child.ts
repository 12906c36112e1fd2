import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { OutgoingRecord, Position } from '../../bus/port.ts'
import { MemoryBus, unavailable } from './memory-bus.ts'
import { openFixture } from './node-fixture.ts'

// A node in a process of its own, to be killed. Its bus is slow, fails now and then, and writes down what it
// took as durably as kill -9 needs: by one synchronous write.

const [dir = '', seed = '1'] = process.argv.slice(2)

/** What the longest of the runs writes is more: some of it is left for who comes after. */
const mostTaken = 900

class DurableBus extends MemoryBus {
  #turn = Number(seed)

  override async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    this.#turn = (this.#turn * 48_271) % 2_147_483_647
    await new Promise((resolve) => setTimeout(resolve, this.#turn % 20))
    if (this.#turn % 3 === 0 || this.records.length > mostTaken) throw unavailable()
    const lines = records.map(({ topic, headers }) => `${topic} ${headers.ce_id}\n`)
    if (records[0]?.topic !== 'keys') appendFileSync(join(dir, 'taken'), lines.join(''))
    return super.publish(records)
  }
}

const fixture = await openFixture({}, { dir: join(dir, 'spool'), bus: new DurableBus() })
for (;;) {
  const made = await fixture.keys.create({ principal: 'alice' }).catch(() => null)
  if (made === null) continue
  const { port } = await fixture.node.start({ host: '127.0.0.1', port: 0 })
  process.stdout.write(`${JSON.stringify({ port, key: made.key })}\n`)
  break
}
