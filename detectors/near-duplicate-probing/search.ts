import { z } from 'zod'
import { noiseShare } from './geometry.ts'
import type { Features } from './patterns.ts'
import type { Point } from './point.ts'

/**
 * Whether a cluster grows as a greedy search does. Every such attack (Square, SimBA, coordinate descent, a boundary walk)
 * keeps the best input so far and changes that one, until a change is better still: so each query's nearest
 * neighbour is the incumbent, which was chosen by the model's answer. Honest series do not know the answer. A
 * video goes on from its last frame, an augmentation from its original, a camera's frames lie around one scene. All four
 * foretell the parent of each query; the search is believed by as much as it foretells better than the best of
 * the others: a likelihood ratio against each, of which the least counts.
 */
export const Search = z.object({
  /** The label that the search leads away from: the first one's. */
  base: z.number(),
  /** The query with the least lead of that label, and its lead: negative once the model reads something else. */
  incumbent: z.number(),
  lead: z.number(),
  /** Queries that were linked to the incumbent since it is. */
  stayed: z.number(),
  /** The query from which most others start. */
  hub: z.number(),
  hubChildren: z.number(),
  /** The newest query. */
  last: z.number(),
  /** Nats by which the search foretold better than each of the others. */
  overChain: z.number(),
  overHub: z.number(),
  overChance: z.number(),
})
export type Search = z.infer<typeof Search>

/** How often each foretells rightly where it holds: the nearest neighbour is sometimes another, by noise and by overlapping steps. */
const rightly = 0.85
/** A neighbour is one of so many at most: series are near to what was just before them. */
const mostChoices = 16
/** Fresh noise in every query makes angles of 60° at each: what is near the incumbent by noise alone was not led there. */
const mostAlike = 0.35
/** The sketch blurs angles by 0.1, and a frame that comes to lie in the middle of the others sees them wider apart. */
const mostAlikeNoise = 0.2
const mostStays = 2
/** No series is so surely honest that an attack which begins in it would stay unseen for long. */
const floor = -3

export function begin(first: Point): Search {
  return {
    base: first.label,
    incumbent: first.seq,
    lead: first.margin,
    stayed: 0,
    hub: first.seq,
    hubChildren: 0,
    last: first.seq,
    overChain: 0,
    overHub: 0,
    overChance: 0,
  }
}

/** @param size queries in the cluster before this one */
export function follow(search: Search, added: Point, parent: Point, size: number, features: Features): void {
  const { corner, loose } = features
  const noise = corner.mean > (added.share < noiseShare ? mostAlikeNoise : mostAlike)
  const blurred = (noise || loose) && parent.seq === search.incumbent
  if (size > 1 && !blurred) foretell(search, parent.seq, Math.min(size, mostChoices), features)
  const lead = added.label === search.base ? added.margin : -added.margin
  if (lead < search.lead) {
    // Another scene may come with a lesser lead: what follows it is near to it, as to any hub. A search was led there.
    search.stayed = parent.seq === search.incumbent && !loose ? 0 : mostStays
    search.lead = lead
    search.incumbent = added.seq
  }
  search.last = added.seq
  parent.children++
  if (parent.children <= search.hubChildren) return
  search.hub = parent.seq
  search.hubChildren = parent.children
}

function foretell(search: Search, parent: number, choices: number, { nearness, goesOn }: Features): void {
  const hit = Math.log(rightly)
  const miss = Math.log((1 - rightly) / (choices - 1))
  const said = (foretold: number) => (foretold === parent ? hit : miss)
  const own = said(search.incumbent)
  search.overChain = Math.max(floor, search.overChain + own - (goesOn ? hit : said(search.last)))
  // In hindsight any point is a hub: a few queries from one incumbent tell of a search, more of them only that it is a hub.
  const hub = parent === search.incumbent && ++search.stayed > mostStays ? parent : search.hub
  search.overHub = Math.max(floor, search.overHub + own - said(hub))
  search.overChance = Math.max(floor, search.overChance + own + Math.log(choices) + (own === hit ? clarity(nearness) : 0))
}

/** Nats that a neighbour is worth which is much nearer than the next: among scattered ones it would hardly be. */
function clarity(nearness: number): number {
  if (nearness < 0.65) return 0.4
  return nearness < 0.8 ? 0.1 : -0.4
}

/** Nats for a greedy search against the likeliest honest series. */
export function searchEvidence({ overChain, overHub, overChance }: Search): number {
  return Math.max(0, Math.min(overChain, overHub, overChance))
}

export function fade(search: Search, factor: number): void {
  search.overChain *= factor
  search.overHub *= factor
  search.overChance *= factor
}
