import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pino } from 'pino'
import { BusError } from '../../bus/errors.ts'
import type { TopicPlan } from '../../bus/port.ts'
import { openBus } from '../instance/bus.ts'
import { topicConfigs } from '../instance/topics.ts'
import { type Check, type DoctorContext, type Result, reasonOf } from './check.ts'

const advices: Readonly<Record<string, string>> = {
  BUS_UNAVAILABLE: 'start the brokers, or correct bus.brokers; their advertised.listeners must be reachable from here',
  BUS_UNTRUSTED: 'bus.ssl and bus.caFile must fit the certificate of the brokers, and bus.certFile what they ask for',
  BUS_FORBIDDEN: 'correct bus.username and CORDON_BUS_PASSWORD, and grant what `cordon topics acls` prints',
  CORRUPT_LOG: 'put the log back from a backup; docs/operating.md says how',
}

/** That the log answers, and that its topics are as `cordon topics plan` wants them. It changes nothing. */
export const busCheck: Check = {
  id: 'bus',
  title: 'Bus',
  deadlineMs: 30_000,
  async run(context) {
    const { config, held, running } = context
    if (config.bus.adapter === 'embedded') {
      if ((await running()) !== null) return { status: 'ok', found: 'embedded; the running instance has it' }
      if (held !== null) return { status: 'warn', found: held, advice: 'it starts, or stops, or is stuck: look again in a minute' }
      if (!existsSync(join(config.dataDir, 'log'))) return { status: 'ok', found: 'embedded; it is made at the first start' }
    }
    try {
      return await look(context)
    } catch (error) {
      const advice = error instanceof BusError ? advices[error.code] : undefined
      return { status: 'fail', found: reasonOf(error), ...(advice === undefined ? {} : { advice }) }
    }
  },
}

async function look({ config }: DoctorContext): Promise<Result> {
  const bus = await openBus(config, pino({ level: 'silent' }), 'cordon-doctor')
  try {
    const plans = await bus.planTopics(topicConfigs(config))
    return config.bus.adapter === 'kafka' ? judgeTopics(plans) : { status: 'ok', found: 'embedded; the log opens' }
  } finally {
    await bus.close()
  }
}

export function judgeTopics(plans: readonly TopicPlan[]): Result {
  const differing = plans.filter(({ state }) => state === 'differs').map(({ topic }) => topic)
  const missing = plans.filter(({ state }) => state === 'missing').map(({ topic }) => topic)
  const hidden = plans.filter(({ state, settings }) => state !== 'missing' && settings.some(({ is }) => is === null))
  if (differing.length > 0)
    return {
      status: 'fail',
      found: `topics are not as configured: ${differing.join(', ')}`,
      advice: '`cordon topics plan` shows how, `cordon topics apply` what to do',
    }
  if (missing.length > 0)
    return {
      status: 'fail',
      found: `${missing.length} of ${plans.length} topics are missing, or not for us to see: ${missing.join(', ')}`,
      advice: 'create them with `cordon topics apply` (`cordon start` does by itself), and grant what `cordon topics acls` prints',
    }
  if (hidden.length > 0)
    return {
      status: 'warn',
      found: `all ${plans.length} topics are there; the settings of ${hidden.length} are not visible`,
      advice: 'grant DescribeConfigs on the topics, and they are compared too',
    }
  return { status: 'ok', found: `Kafka answers, and all ${plans.length} topics are as configured` }
}
