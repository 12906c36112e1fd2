import { BusError } from './errors.ts'
import type { TopicPlan } from './port.ts'

/** A topic's plan: it is missing where nothing of it is there. */
export function planOf(topic: string, settings: TopicPlan['settings']): TopicPlan {
  const missing = settings.every(({ is }) => is === null)
  return { topic, state: missing ? 'missing' : settings.some(({ differs }) => differs) ? 'differs' : 'same', settings }
}

/** The error that says all that differs, null where nothing does. */
export function refusal(plans: readonly TopicPlan[], nameOf: (topic: string) => string = (topic) => topic): BusError | null {
  const texts = plans
    .filter(({ state }) => state === 'differs')
    .map(({ topic, settings }) => {
      const differences = settings.filter(({ differs }) => differs).map(({ name, is, wanted }) => `${name} is ${is}, wanted ${wanted}`)
      return `topic ${nameOf(topic)} exists with other settings: ${differences.join('; ')}`
    })
  return texts.length === 0 ? null : new BusError('TOPIC_MISMATCH', texts.join('. '))
}
