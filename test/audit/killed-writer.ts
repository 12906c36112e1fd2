// A node's part that records, to be killed: it says on standard output which entries an answer would have been sent for.
import { join } from 'node:path'
import { Registry } from 'prom-client'
import { openAuditTrail } from '../../audit/trail.ts'
import { openEmitter } from '../../inference/emitter/emitter.ts'
import { MemoryBus, unavailable } from '../inference/memory-bus.ts'
import { entry, silent } from './fixture.ts'

const [dir = '', first = '0'] = process.argv.slice(2)
const bus = new MemoryBus()
// Everything stays in the spool, for who comes after.
bus.failure = unavailable()
const clock = () => Date.now()
const emitter = await openEmitter({ bus, dir: join(dir, 'spool'), clock, log: silent, registry: new Registry() })
const trail = openAuditTrail({
  writer: 'node-1',
  dir: join(dir, 'audit'),
  emit: (event) => emitter.emit('audit', event),
  flush: () => emitter.flush(),
  clock,
  log: silent,
  checkpointRecords: 7,
  checkpointMs: null,
})
for (let number = Number(first); ; number++) {
  trail.append(entry(number))
  // Of three, two are recorded in one turn.
  if (number % 3 !== 0) emitter.flush()
  if (number % 3 !== 0) process.stdout.write(`${number}\n`)
  await new Promise((resolve) => setImmediate(resolve))
}
