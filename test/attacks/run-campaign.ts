import type { Campaign, Exchange, Outcome } from './campaign.ts'
import { Disguise } from './disguise.ts'
import type { AttackResult } from './oracle.ts'

/** Runs an attack to its end; `onExchange` sees every query as it is answered, ordinary ones too, and false ends it. */
export async function runCampaign(campaign: Campaign, onExchange?: (exchange: Exchange) => Promise<boolean> | boolean): Promise<Outcome> {
  const disguise = new Disguise(campaign, onExchange)
  const restarts = campaign.form.adaptive?.restarts ?? 0
  let best: AttackResult | null = null
  let rounds = 0
  while (rounds <= restarts && disguise.left > 0) {
    const number = rounds++
    const jitter = 0.02 * Math.min(5, number)
    const result = await campaign.threat.run(disguise, { number, random: campaign.random, budget: disguise.left, jitter })
    if (best === null || (result !== null && result.distance < best.distance)) best = result
    if (result !== null && result.stopped !== 'refused') break
  }
  return { result: best, rounds, ...disguise.summary() }
}

/** The same as a stream: the attack waits while an exchange is looked at, and stops where its reader stops. */
export async function* streamCampaign(campaign: Campaign): AsyncGenerator<Exchange, Outcome> {
  let arrived = Promise.withResolvers<Exchange | null>()
  let wanted = Promise.withResolvers<boolean>()
  const outcome = runCampaign(campaign, (exchange) => {
    arrived.resolve(exchange)
    return wanted.promise
  })
  // Either way the reader is woken; a failure reaches it through the outcome.
  const over = () => arrived.resolve(null)
  outcome.then(over, over)
  try {
    for (let next = await arrived.promise; next !== null; next = await arrived.promise) {
      yield next
      const asked = wanted
      arrived = Promise.withResolvers()
      wanted = Promise.withResolvers()
      asked.resolve(true)
    }
  } finally {
    wanted.resolve(false)
    await outcome
  }
  return outcome
}
