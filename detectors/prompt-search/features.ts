import type { Link } from './link.ts'

/**
 * What the weights are for, in order. All but the last are of a step of a search. They are products of how strange its
 * new text is, up to one bit, and of how much of the prompt is kept and written by few: where either is missing, there is
 * no evidence.
 */
export const featureNames = ['step', 'step: how strange above 1.5 bits', 'step: at the end', 'other: large'] as const

/** What each weight may be: nothing that a search does speaks against one, so that no kind of honest job can bend it. */
export const featureSigns: readonly (1 | -1)[] = [1, 1, -1, -1]

/**
 * Bounds of what one prompt says, nats: two steps come above the threshold of 7 and inform, a third one calls somebody,
 * and a change that was not taken back speaks against a search.
 */
export const lowest = -3
const stepAtMost = 3.9
/** Letters exchanged one for one: what designers of sequences, tables and numbers do too. */
const exchangeAtMost = 1.5
const otherAtMost = -0.2

/** Longest new text of a step, and longest changed text, characters: some eight tokens and the chunks that they lie in. */
const longestNew = 48
const longestStep = 88
/** Kept characters that few callers have written, from which on a step counts in full. */
const fullyKept = 160
/** Least share of what the prompt before had lost that is here again. */
const leastRestored = 0.3
export const clip = (value: number, from: number, until: number) => Math.min(until, Math.max(from, value))

/**
 * Writes the features of a link into `into`; each lies in [0, 1.2].
 *
 * A step of a search puts a little new text where none was and takes the one before back: that one's new text is gone,
 * and the text that it had replaced is here again. Not a step, whatever the weights: new text in the same surroundings as
 * before (the slot of a template), a change at the end after a change at the end (what grows, or is written), letters
 * exchanged within words that keep their cuts (a sequence), what is mostly left out, and a change where nothing comes back
 * (a writer).
 *
 * @returns the most that the link may say, nats
 */
export function readFeatures(link: Link, into: Float64Array): number {
  const { difference: d, moved, abandoned } = link
  into.fill(0)
  const small = isSmall(link)
  if (!small || !moved || abandoned <= 0.5) {
    into[3] = small ? 0 : 1
    return otherAtMost
  }
  if (link.restored <= leastRestored || link.familiar || link.endsAgain || d.sameCuts || 2 * d.added < d.removed) return 0
  const step = clip(d.freshExcess, 0, 1) * Math.min(1, d.keptRare / fullyKept)
  into[0] = step
  into[1] = (step * clip(d.freshExcess - 1.5, 0, 3.5)) / 3
  into[2] = d.after === 0 ? step : 0
  return d.added === d.removed ? exchangeAtMost : stepAtMost
}

/** Whether a little text was put in for a little text. */
function isSmall({ difference: d }: Link): boolean {
  const within = d.sites <= 3 && d.gaps <= 3 && (d.before > 0 || (d.sites < 2 && d.gaps < 2)) && d.added + d.removed < 2 * longestStep
  return d.fresh > 0 && d.fresh <= longestNew && d.freshRuns <= 2 && within && Math.max(d.added, d.removed) < longestStep
}
