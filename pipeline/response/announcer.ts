import type { Logger } from 'pino'
import { encode, newEvent } from '../../bus/codec.ts'
import type { View } from '../../bus/view.ts'
import type { Heartbeat, Instant, Model } from '../../schemas/index.ts'
import { announcement } from './announcement.ts'
import type { Charge } from './charge.ts'
import { type Promotion, promoted } from './promotion.ts'
import { Turn } from './turn.ts'

export interface ModelAnnouncerOptions {
  readonly charge: Pick<Charge, 'held' | 'term' | 'publish' | 'follow' | 'onTake'>
  readonly heartbeats: View<Heartbeat>
  readonly models: View<Model>
  readonly clock: () => Instant
  readonly log: Logger
  /** Who says so on the log. */
  readonly source: string
  /** How often it looks again at what could not be written, or was forgotten. Default 5,000 ms; null: only at heartbeats. */
  readonly lookMs?: number | null
}

export interface ModelAnnouncer {
  /**
   * Serves another version under the model's bare name. Durable, and known to the view, before it resolves. Here, since
   * only one after the other may read a model's record and write it.
   *
   * @throws PromotionError; ResponderError `NOT_IN_CHARGE`
   */
  promote(promotion: Promotion): Promise<Model>
  /** Waits for what runs. The views stay open: they are their opener's. */
  close(): Promise<void>
}

/** Puts the models that nodes say they serve on record, and which versions persons promote, while this process is in charge. */
export function announceModels(options: ModelAnnouncerOptions): ModelAnnouncer {
  const { charge, heartbeats, models, clock, log, source, lookMs = 5_000 } = options
  const turn = new Turn()
  const write = async (changes: readonly Model[], now: Instant) => {
    const positions = await charge.publish(changes.map((model) => encode('models', newEvent('model', model, source, now))))
    await Promise.all(positions.map((position) => models.reached(position)))
  }
  const promote = async (promotion: Promotion) => {
    // What is known is all there is only to who is in charge.
    charge.term()
    const known = models.get(promotion.model)
    const model = promoted(known, promotion)
    if (JSON.stringify(model) !== JSON.stringify(known)) await write([model], clock())
    return model
  }
  const announce = async () => {
    if (!charge.held) return
    const now = clock()
    const changes = announcement((name) => models.get(name), heartbeats.values(), now)
    if (changes.length === 0) return
    await write(changes, now)
    log.info({ models: changes.map(({ name, current }) => `${name}@${current}`) }, 'models announced')
  }
  let looking = false
  const look = () => {
    // One waits already, and sees what this one would.
    if (looking) return
    looking = true
    const looked = turn.run(() => {
      looking = false
      return announce()
    })
    looked.catch((err: unknown) => {
      if (charge.held) log.warn({ err }, 'models could not be announced; trying again')
    })
  }
  charge.follow('models', (position) => models.reached(position))
  charge.onTake(look)
  const stop = heartbeats.onChange((_key, heartbeat) => {
    if (heartbeat?.role === 'node') look()
  })
  const timer = lookMs === null ? undefined : setInterval(look, lookMs).unref()
  return {
    promote: (promotion) => turn.run(() => promote(promotion)),
    async close() {
      clearInterval(timer)
      stop()
      await turn.idle()
    },
  }
}
