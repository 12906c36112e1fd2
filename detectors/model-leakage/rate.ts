import type { Instant } from '../../schemas/index.ts'
import type { State } from './state.ts'

/** New inputs are added to what the past still counts for. */
export function gain(state: State, now: Instant, added: number, halfLifeMs: number): void {
  const passed = Math.max(0, now - state.gainedAt)
  state.gained = state.gained * 2 ** (-passed / halfLifeMs) + added
  state.gainedAt = Math.max(now, state.gainedAt)
}

/** New inputs an hour at present; of a young principal, since it began. */
export function hourlyRate({ gained, gainedAt, from }: State, halfLifeMs: number): number {
  const memory = (halfLifeMs / Math.LN2) * (1 - 2 ** (-Math.max(1_000, gainedAt - from) / halfLifeMs))
  return (gained / memory) * 3_600_000
}
