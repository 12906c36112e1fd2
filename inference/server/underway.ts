import { setImmediate as endOfTurn } from 'node:timers/promises'

/**
 * Resolves when what was asked in this turn of the event loop is on its way, and never rejects. undici writes a request on a connection
 * that it has used before at the end of the turn, once it has seen that the connection was not closed meanwhile: what is done
 * before that delays the model, and what is done then delays nobody.
 */
export async function underway(asking: Promise<unknown>): Promise<void> {
  // Whoever awaits it hears of it, but only after this.
  asking.catch(() => {})
  await endOfTurn()
}
