// A process that publishes flows and stores them until it is killed. Prints each acknowledged event's id.
import { randomUUID } from 'node:crypto'
import { writeSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import pino from 'pino'
import { Registry } from 'prom-client'
import { encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import { startSink } from '../../ingest/sink.ts'
import { topics } from '../../schemas/index.ts'
import { openStore } from '../../store/index.ts'
import { flow } from '../store/story.ts'

const [directory = '', mode = ''] = process.argv.slice(2)
const log = pino({ level: 'silent' })
const bus = await createEmbeddedBus({ path: `${directory}/bus` })
const store = await openStore({ path: `${directory}/store`, log })
await store.migrate()
await bus.ensureTopics(Object.values(topics).map(({ name, partitions, retentionMs }) => ({ name, partitions, retentionMs })))
const sink = await startSink({ bus, store, log, registry: new Registry(), clock: Date.now, maxWaitMs: 5 })
writeSync(1, 'ready\n')
const event = () =>
  newEvent(
    'flow',
    { ...flow, workload: `w${Math.floor(performance.now()) % 16}` },
    'sensor',
    Date.now(),
    Math.random() < 0.5 ? randomUUID() : undefined,
  )
async function publishForever(): Promise<never> {
  for (;;) {
    const events = Array.from({ length: 40 }, event)
    // A producer that does not hear of its success publishes the same events again.
    await bus.publish(events.map((one) => encode('flows', one)))
    await bus.publish(events.slice(0, 5).map((one) => encode('flows', one)))
    writeSync(1, `${events.map(({ id }) => id).join('\n')}\n`)
    await delay(2)
  }
}
if (mode === 'publish') await publishForever()
const behind = async () => {
  const committed = new Map((await bus.groups()).map((one) => [`${one.topic}/${one.partition}`, one.committed]))
  return (await bus.partitions('flows')).some(({ topic, partition, end }) => end > (committed.get(`${topic}/${partition}`) ?? 0))
}
while (await behind()) await delay(10)
await sink.close()
const { rows } = await store.sql('SELECT count() AS rows, uniqExact(id) AS ids FROM flows')
const stored = await store.client.query({ query: 'SELECT DISTINCT id FROM flows', format: 'TabSeparated' })
const report = `${JSON.stringify({ ...rows[0], stored: (await stored.text()).trim().split('\n') })}\n`
// A pipe takes a large text in parts: writeSync would leave the rest out.
await new Promise((resolve) => process.stdout.write(report, resolve))
await bus.close()
await store.close()
