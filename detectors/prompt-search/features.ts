import type { Link } from './link.ts'

/**
 * What the weights are for, in order. A change is "taken" for a step of a search when a little new text stands
 * where none of the last ones did, and what was new in the prompt before is gone. All others share the last three.
 */
export const featureNames = [
  'taken',
  'taken: how strange, up to 1.5 bits',
  'taken: how strange above that',
  'taken: a little behind the last place',
  'taken: from an older prompt than the last',
  'taken: as long as what it replaced',
  'taken: share by which it is longer or shorter',
  'taken: at the end',
  'taken: share of the prompt that others do not write, kept',
  'other',
  'other: moved',
  'other: small',
] as const

/** Longest new text of a step, and longest changed text, characters: some eight tokens and the chunks that they lie in. */
const longestNew = 48
const longestStep = 88
const clip = (value: number, from: number, until: number) => Math.min(until, Math.max(from, value))

/** Writes the features of a link into `into`; each lies in [−1, 1.2]. @returns whether the change is taken for a step of a search */
export function readFeatures({ difference: d, moved, branched, abandoned, onward }: Link, into: Float64Array): boolean {
  const changed = d.added + d.removed
  const within = d.sites <= 3 && d.gaps <= 3 && (d.before > 0 || (d.sites < 2 && d.gaps < 2)) && changed < 2 * longestStep
  const small = d.fresh > 0 && d.fresh <= longestNew && d.freshRuns <= 2 && within && Math.max(d.added, d.removed) < longestStep
  const taken = moved && abandoned > 0.5 && small
  into.fill(0)
  if (taken) {
    const strange = clip(d.freshExcess, -1, 5) / 3
    into[0] = 1
    into[1] = Math.min(0.5, strange)
    into[2] = Math.max(0, strange - 0.5)
    into[3] = onward ? 1 : 0
    into[4] = branched ? 1 : 0
    into[5] = d.added === d.removed ? 1 : 0
    into[6] = Math.abs(d.added - d.removed) / changed
    into[7] = d.after === 0 ? 1 : 0
    into[8] = Math.min(1, d.keptRare / 160)
  } else {
    into[9] = 1
    into[10] = moved ? 1 : 0
    into[11] = small ? 1 : 0
  }
  return taken
}
