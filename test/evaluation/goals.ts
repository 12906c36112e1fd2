import type { Check } from './results.ts'

/** What one attack in one form came to, as the goals are written. */
export interface QueryFigures {
  readonly attack: string
  readonly form: string
  readonly median: number | null
  readonly p95: number | null
  /** Shares of the runs. */
  readonly detected: number
  readonly before: number
  readonly atAll: number
}

interface QueryGoal {
  readonly attacks: readonly string[]
  readonly median: number
  readonly p95: number
  readonly detected?: number
}

/** Queries to containment, median and p95, by what the attack begins with. */
const queryGoals: readonly QueryGoal[] = [
  { attacks: ['hopskipjump', 'geoda', 'sign-opt', 'nes', 'transfer'], median: 10, p95: 20 },
  { attacks: ['boundary', 'simba', 'zoo'], median: 20, p95: 40 },
  { attacks: ['square'], median: 6, p95: 10, detected: 0.98 },
]
const mostSuccess = 0.02

/** The goals that speak of this attack in this form, and whether they are met. Never contained is never met. */
export function goalsOf({ attack, form, median, p95, detected, before, atAll }: QueryFigures): readonly Check[] {
  const checks: Check[] = []
  const goal = queryGoals.find(({ attacks }) => attacks.some((name) => attack.toLowerCase().startsWith(name)))
  if (goal !== undefined && form === 'plain') {
    const met = median !== null && p95 !== null && median <= goal.median && p95 <= goal.p95
    checks.push({ goal: `≤ ${goal.median} / ≤ ${goal.p95} queries`, met })
    if (goal.detected !== undefined) checks.push({ goal: `≥ ${goal.detected * 100} % detected`, met: detected >= goal.detected })
  }
  if (form === 'undefended') return []
  if (form.startsWith('adaptive')) checks.push({ goal: 'adaptive success ≤ 2 %', met: atAll <= mostSuccess })
  else checks.push({ goal: 'success before containment ≤ 2 %', met: before <= mostSuccess })
  return checks
}

/** A figure that must not pass a bound; none at all is missed. */
export function atMost(goal: string, value: number | null, bound: number): Check {
  return { goal, met: value !== null && value <= bound }
}

/** What one theft in one form came to: medians. */
interface TheftFigures {
  readonly attack: string
  readonly form: string
  readonly contained: number | null
  readonly leaked: number | null
}

const outside = new Set(['uniform noise', 'crops', 'shapes', 'textures', 'inverted digits', 'letters'])
const nearer = new Set(['letters', 'Jacobian augmentation'])

/** The goals that speak of this theft in this form. */
export function theftGoals({ attack, form, contained, leaked }: TheftFigures): readonly Check[] {
  if (form === 'single') {
    if (attack === 'Jacobian augmentation') return [atMost('≤ 160 queries', contained, 160)]
    if (outside.has(attack) || attack.endsWith('sweep')) return [atMost('≤ 8 queries', contained, 8)]
  }
  if (form.startsWith('100 × 50')) {
    if (nearer.has(attack)) return [atMost('≤ 500 leaked', leaked, 500)]
    if (outside.has(attack)) return [atMost('≤ 250 leaked', leaked, 250)]
  }
  if (form === 'mixed 1:9') {
    if (nearer.has(attack)) return [atMost('≤ 600 queries', contained, 600)]
    if (outside.has(attack)) return [atMost('≤ 30 queries', contained, 30)]
  }
  return []
}
