import type { LimitView } from '../../console/port.ts'
import { type Allocator, openAllocator, type ShareCharge } from '../../limits/allocator.ts'
import { type NodeMeter, openNodeMeter } from '../../limits/node-meter.ts'
import type { Config } from '../config/schema.ts'
import { span } from '../output.ts'
import type { Context } from './context.ts'

/** The limits of this node; undefined where none are configured. */
export async function openMeter({ config, bus, clock, log, closers }: Context): Promise<NodeMeter | undefined> {
  const { rules, nodes, whenAway, agreeMs } = config.limits
  if (rules.length === 0) return undefined
  return closers.keep('limits', await openNodeMeter({ bus, rules, node: config.inference.node, nodes, whenAway, clock, log, agreeMs }))
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
