import { randomBytes } from 'node:crypto'
import { createKafkaBus } from '../../bus/kafka/bus.ts'
import { busContract } from '../contracts/bus.ts'
import { startBroker } from './broker.ts'

busContract('kafka', async () => {
  const broker = await startBroker()
  console.log(`# broker: ${broker.origin}`)
  // A prefix of its own, since KAFKA_BROKERS may name a cluster that others use.
  const prefix = `test-${randomBytes(4).toString('hex')}.`
  return {
    open: () => createKafkaBus({ brokers: broker.brokers, clientId: 'cordon-test', prefix }),
    dispose: () => broker.stop(),
  }
})
