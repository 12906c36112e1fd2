import type { Difference } from './difference.ts'
import type { Pattern } from './state.ts'

/** One prompt beside the earlier one that it differs least from. */
export interface Link {
  readonly difference: Difference
  /** The place of the change was not among the last ones. */
  readonly moved: boolean
  /** The group's last prompt was passed over for an older one: its change was taken back before this one was made. */
  readonly branched: boolean
  /** The same text to the letter. */
  readonly repeated: boolean
  readonly refused: boolean | null
}

/** Log-likelihood ratios of one link, nats: against the benign kind that comes nearest, so most are negative. Reused. */
export type Evidence = Record<Pattern, number>

/** Longest replacement that a search makes in one step, characters: some eight tokens and the chunks that they lie in. */
const longestStep = 80
const clip = (value: number, from: number, until: number) => Math.min(until, Math.max(from, value))

/**
 * A random search (Andriushchenko et al. 2024) or a coordinate gradient (Zou et al. 2023) replaces a few tokens among
 * others that it keeps, and takes back what did not help before it changes another place: its prompts are siblings.
 * Writers and programs go on from their last version, and templates change in the same place each time.
 */
export function searchEvidence({ difference: d, moved, branched, repeated }: Link): number {
  if (repeated || (d.sites === 0 && d.gaps === 0)) return 0
  if (d.sites > 3 || d.gaps > 3 || d.added > longestStep || d.removed > longestStep || d.kept < d.added) return -1.5
  // A text that grows, shrinks or slides changes at its ends.
  if (d.after === 0 || (d.before === 0 && (d.sites > 1 || Math.abs(d.added - d.removed) > 8))) return -0.3
  const strange = clip(0.8 * ((d.excess + d.removedExcess) / 2 - 0.9), -1.2, 1.2)
  const replaced = d.added > 0 && d.removed > 0 ? 0 : -0.6
  if (moved && branched && d.fresh * 2 >= d.added) return 2.2 + strange + replaced
  return moved ? -0.7 + 0.4 * strange : -1
}

/**
 * One text in many spellings: best-of-N jailbreaking (Hughes et al. 2024). Chunks hash alike whatever the case and order of letters in a word, so
 * what is kept reads differently each time; what the noise did change is as long as before.
 */
export function disguiseEvidence({ difference: d, repeated }: Link): number {
  if (repeated) return 0
  const total = d.kept + d.added
  if (d.kept < 24 || Math.abs(d.added - d.removed) > 0.05 * total + 4) return -1.2
  return d.disguise > (d.added === 0 ? 0.25 : 0.7) ? 1.2 : -1
}

/** Asked again, or asked in another way, what was just refused. */
export function persistenceEvidence({ refused, repeated, difference: d }: Link): number {
  if (refused === null) return 0
  if (!refused) return -1.2
  return repeated ? 2 : d.kept > 0 ? 1.2 : 0.3
}
