import { clip, featureNames, lowest, readFeatures } from './features.ts'
import type { Link } from './link.ts'
import type { Pattern } from './state.ts'
import { searchWeights } from './weights.ts'

/** Log-likelihood ratios of one link, nats: against the benign kind that comes nearest, so most are negative. */
export type Evidence = Record<Pattern, number>

const features = new Float64Array(featureNames.length)

/**
 * A random search (Andriushchenko et al. 2024) or a coordinate gradient (Zou et al. 2023) replaces a few tokens among
 * others that it keeps, and takes back what did not help before it changes another place: its prompts are siblings.
 * Writers and programs go on from their last version, and templates change in the same place each time.
 */
export function searchEvidence(link: Link): number {
  if (link.repeated) return 0
  const atMost = readFeatures(link, features)
  let sum = 0
  for (let i = 0; i < features.length; i++) sum += (features[i] as number) * (searchWeights[i] as number)
  return clip(sum, lowest, atMost)
}

/**
 * One text in many spellings: best-of-N jailbreaking (Hughes et al. 2024). Chunks hash alike whatever the case and order of letters in a word, so
 * what is kept reads differently each time; what the noise did change is as long as before.
 */
export function disguiseEvidence({ difference: d, repeated }: Link): number {
  if (repeated) return 0
  const total = d.kept + d.added
  if (d.kept < 24 || Math.abs(d.added - d.removed) > 0.05 * total + 4) return -1.2
  return clip(1.4 * (d.disguise - 1.4), -1.2, 1)
}

/**
 * What was just refused, asked again to the letter or with a change here or there. An item after the other in one
 * template is not: a model may refuse most of an honest batch.
 */
export function persistenceEvidence({ refused, repeated, moved, difference: d }: Link): number {
  if (refused === null) return 0
  if (!refused) return -1
  if (repeated) return 0.7
  return moved && d.kept > 2 * d.added ? 1 : 0
}

/** One request in many frames, or many requests in one frame, and most refused: no one can tell which without reading. */
export function sweepEvidence({ refused, repeated }: Link): number {
  if (refused === null || repeated) return 0
  return refused ? 0.5 : -1
}
