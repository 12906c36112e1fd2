import { sourceOf } from '../../access/place.ts'
import type { Pulse } from '../../bus/heartbeat.ts'
import type { LimitView } from '../../console/port.ts'
import { mostOf } from '../../inference/server/cost.ts'
import type { NodeOptions } from '../../inference/server/options.ts'
import { type Allocator, openAllocator, type ShareCharge } from '../../limits/allocator.ts'
import { type NodeMeter, type NodeMeterState, openNodeMeter } from '../../limits/node-meter.ts'
import { Places } from '../../limits/places.ts'
import type { Instant } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { span } from '../output.ts'
import type { Context } from './context.ts'

/** How long a principal must have called from somewhere until it is no new place, and of how many principals that is known. */
const settleMs = 24 * 3_600_000
const maxPrincipals = 20_000

/** The limits of this node; undefined where none are configured. */
export async function openMeter({ config, bus, clock, log, closers }: Context): Promise<NodeMeter | undefined> {
  const { rules, nodes, whenAway, agreeMs } = config.limits
  if (rules.length === 0) return undefined
  return closers.keep('limits', await openNodeMeter({ bus, rules, node: config.inference.node, nodes, whenAway, clock, log, agreeMs }))
}

/** What a node sets aside before a model runs. */
export function meteringOf(
  meter: NodeMeter,
  riskOf: (principal: string, now: Instant) => number,
  priced: Pick<NodeOptions, 'configurationOf' | 'prices'>,
): NonNullable<NodeOptions['metering']> {
  const places = new Places(settleMs, maxPrincipals)
  return {
    meter,
    riskOf,
    mostOf: (exchange) => mostOf(exchange, priced),
    isNewPlace: (principal, address, now) => places.isNew(principal, sourceOf(address), now),
    failed: (principal, now) => meter.failed(principal, now),
  }
}

/** A node that nobody grants anything is well, and says so all the same. */
export function withLimits(pulse: Pulse, { accounts, awaySince, summary }: NodeMeterState): Pulse {
  const detail = { ...pulse.detail, allowances: accounts, limitsAwaySince: awaySince }
  return { ...pulse, summary: (awaySince === null ? pulse.summary : `${pulse.summary}; ${summary}`).slice(0, 2_000), detail }
}

/** Shares limits out among nodes, where the role `respond` runs; undefined where none are configured. */
export async function openShares(
  { config, bus, clock, log, closers, instance }: Context,
  charge: ShareCharge,
): Promise<Allocator | undefined> {
  const { rules, nodes } = config.limits
  if (rules.length === 0) return undefined
  return closers.keep('shares of limits', await openAllocator({ bus, charge, rules, nodes, clock, log, source: instance }))
}

/** The rules as people read them. */
export function limitViews({ limits }: Config): readonly LimitView[] {
  return limits.rules.map(({ name, over, match, measure, amount, windowMs, calendar, burst }) => ({
    ...{ name, over, measure, amount, burst },
    window: windowMs === null ? `calendar ${calendar ?? 'day'}` : span(windowMs),
    match: Object.entries(match).flatMap(([what, pattern]) => (pattern === '*' ? [] : [`${what}=${pattern}`])),
  }))
}
