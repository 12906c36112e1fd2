import type { ServedConfiguration } from '../configuration.ts'
import type { Exchange } from './exchange.ts'
import { type Hardener, stricter } from './harden.ts'
import type { Service } from './service.ts'

/**
 * What hardens an answer: what leases say, looked up after the model ran, and what the model's configuration asks for whoever
 * asks, each part from the stricter of the two. The exchange has the level in force.
 */
export function hardeningOf(service: Service, exchange: Exchange, { floor, hardening }: ServedConfiguration): Hardener | undefined {
  const leased = service.hardening(exchange)
  const hardener = leased === undefined || floor === undefined ? (leased ?? floor) : stricter(leased, floor)
  exchange.hardening = hardener?.level ?? 'none'
  if (leased === undefined || hardener === undefined || hardening.watermark !== 'suspects') return hardener
  return { ...hardener, watermark: true }
}

/** What hardens a text: neither noise nor a watermark does. Undefined where it leaves as it came. */
export function ofLevel(hardener: Hardener | undefined): Hardener | undefined {
  return hardener?.level === 'none' ? undefined : hardener
}
