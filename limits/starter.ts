import type { LimitRule } from './rules.ts'

/** Of a ceiling, what nodes together may spend before they were granted anything; it is kept for them. */
const starterFraction = 0.01
/** With fewer nodes each still gets no more than a fourth of it. */
const fewestNodes = 4
/** A window that is shorter is over before nodes have agreed: each has an even part of it. */
const shortestSharedMs = 30_000

/** Whether nodes agree on who spends how much of a rule's windows. */
export function isShared({ windowMs }: LimitRule): boolean {
  return windowMs === null || windowMs >= shortestSharedMs
}

/** What one node may spend of each bucket of a rule before it was granted anything: whole requests and tokens, and any cost. */
export function starterOf(rule: LimitRule | undefined, nodes: number): number {
  if (rule === undefined) return 0
  const starter = (rule.amount * starterFraction) / Math.max(fewestNodes, nodes)
  return rule.measure === 'cost' ? starter : Math.floor(starter)
}

/** A node's even part of a window that is too short to be agreed on; at least one, where the amount is. */
export function evenPart({ amount, measure }: LimitRule, nodes: number): number {
  const part = amount / nodes
  return measure === 'cost' ? part : Math.max(Math.min(1, amount), Math.floor(part))
}
