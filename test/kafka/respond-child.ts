import { pino } from 'pino'
import { Registry } from 'prom-client'
import { openKeys } from '../../access/key-registry.ts'
import { openKeyWriter } from '../../access/key-writer.ts'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import { Charge } from '../../pipeline/response/charge.ts'
import { openLeases } from '../../pipeline/response/lease-keeper.ts'
import { startResponseWorker } from '../../pipeline/response-worker.ts'
import { GuardOptions } from '../../responders/guard/guard.ts'
import { responders } from '../../responders/registry.ts'
import { playbook } from '../pipeline/response-given.ts'

/** A process of the role `respond`, for tests to kill and stop: `respond-child.ts <brokers> <prefix> <name>`. It says on stdout whether it is in charge. */
const [brokers = '', prefix = '', holder = ''] = process.argv.slice(2)
const log = pino({ level: process.env['LOG'] ?? 'warn', base: { holder } }, pino.destination({ dest: 2, sync: true }))
const clock = Date.now
const bus = await createKafkaBus({ brokers: brokers.split(','), clientId: holder, prefix, sessionMs: 6_000 })
const charge = await Charge.open({ bus, clock, holder, log })
const leases = await openLeases({ bus, charge, clock, source: holder, responders, log })
const keys = openKeyWriter({ keys: await openKeys({ bus }), charge, clock, source: holder })
const worker = await startResponseWorker({
  bus,
  charge,
  responders,
  playbook,
  guard: GuardOptions.parse({ floor: 1_000_000, maxActionsPerMinute: 1_000_000 }),
  ports: { leases, keys, models: { lastGood: async () => null } },
  models: { promote: () => Promise.reject(new Error('nobody promotes here')) },
  inventory: () => ({ activePrincipals: 0, pools: new Map() }),
  clock,
  registry: new Registry(),
  log,
  source: holder,
})
let said: boolean | null = null
setInterval(() => {
  const { inCharge } = worker.state()
  if (inCharge !== said) process.stdout.write(inCharge ? 'in charge\n' : 'standing by\n')
  said = inCharge
}, 10)
process.on('SIGTERM', async () => {
  await worker.close()
  await leases.close()
  await charge.close()
  await bus.close()
  process.exit(0)
})
