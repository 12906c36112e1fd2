import type { Choice, Update } from './choice.ts'
import type { Predictor } from './predictor.ts'

/**
 * Takes all answers to a request one token further at a time, in one call, until each has ended. Yields what every round
 * added; whoever iterates sets the pace.
 *
 * @throws InferenceError as {@link Predictor.run} does
 */
export async function* rounds(choices: readonly Choice[], predictor: Predictor): AsyncGenerator<readonly Update[], void> {
  const begun = choices.map((choice) => choice.begin())
  if (begun.some(hasNews)) yield begun.filter(hasNews)
  for (let live = choices.filter(isLive); live.length > 0; live = live.filter(isLive)) {
    const windows = new Int32Array(live.length * predictor.window)
    for (const [i, choice] of live.entries()) windows.set(choice.context, i * predictor.window)
    const logits = await predictor.run(windows, live.length, 'logits')
    const size = logits.length / live.length
    const updates = live.map((choice, i) => choice.step(logits.subarray(i * size, (i + 1) * size))).filter(hasNews)
    if (updates.length > 0) yield updates
  }
}

function isLive({ finish }: Choice): boolean {
  return finish === null
}

function hasNews({ entries, finish, call }: Update): boolean {
  return entries.length > 0 || finish !== null || call !== null
}
