import type { Oracle } from '../../test/attacks/oracle.ts'
import type { Random } from '../../test/attacks/random.ts'

export interface Tally {
  answered: number
  refused: number
}

export interface OrdinaryClient {
  readonly oracle: Oracle
  readonly random: Random
}

/**
 * Clients who send each its own handwritten digits at human intervals, until `signal` aborts.
 *
 * @param image picks one of the data set's images
 */
export async function runOrdinaryClients(
  clients: readonly OrdinaryClient[],
  image: (random: Random) => Float32Array,
  meanPauseMs: number,
  tally: Tally,
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    clients.map(async ({ oracle, random }) => {
      while (!signal.aborted) {
        await pause(-Math.log(1 - random.next()) * meanPauseMs, signal)
        if (signal.aborted) return
        const answer = await oracle.query(image(random)).catch(() => null)
        if (answer === null) continue
        if (answer.refused) tally.refused++
        else tally.answered++
      }
    }),
  )
}

/** Waits, or returns early when `signal` aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done)
  })
}
