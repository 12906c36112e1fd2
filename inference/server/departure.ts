import { performance } from 'node:perf_hooks'
import { setTimeout as setTimeoutAsync } from 'node:timers/promises'
import type { Exchange } from './exchange.ts'

/**
 * Waits until an answer may leave: so long after its request arrived, whatever the model took. It is waited for without a place in
 * a pool, and no longer than the client waits.
 */
export async function departure({ startedAt, cancellation }: Exchange, floorMs: number | undefined): Promise<void> {
  const rest = Math.min(startedAt + (floorMs ?? 0), cancellation.deadline) - performance.now()
  // Timers may be early by a part of a millisecond.
  if (rest > 0 && !cancellation.aborted) await setTimeoutAsync(Math.ceil(rest) + 1)
}

/** What answered, for whoever has to know later: the model's version, and the digest of the configuration it was served under. */
export function servedBy({ model, version, configuration }: Exchange): Readonly<Record<string, string>> {
  return { 'cordon-model': encodeURI(`${model}@${version}`), 'cordon-configuration': configuration }
}
