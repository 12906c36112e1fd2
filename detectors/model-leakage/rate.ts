import type { Instant } from '../../schemas/index.ts'
import type { State } from './state.ts'

/** New inputs are added to what the past still counts for. */
export function gain(state: State, now: Instant, added: number, halfLifeMs: number): void {
  const after = Math.max(state.gainedMs, now - state.from)
  const passed = after - state.gainedMs
  state.gained = state.gained * 2 ** (-passed / halfLifeMs) + added
  state.gainedMs = after
}

/** New inputs an hour at present; of a young principal, since it began. */
export function hourlyRate({ gained, gainedMs }: State, halfLifeMs: number): number {
  const memory = (halfLifeMs / Math.LN2) * (1 - 2 ** (-Math.max(1_000, gainedMs) / halfLifeMs))
  return (gained / memory) * 3_600_000
}
