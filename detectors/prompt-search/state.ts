import { z } from 'zod'
import { MemoryState } from './memory.ts'

/** What a group of prompts may be: a search that changes bits of a strange text, one text in many disguises, asking again after refusals, or refusals of a series. */
export const patterns = ['search', 'disguise', 'persistence', 'sweep'] as const
export type Pattern = (typeof patterns)[number]

/** Prompts that were made from one another, as far as anyone can tell. */
export const Cluster = z.object({
  id: z.int(),
  /** The event of its first prompt, which names the episode. */
  opened: z.string(),
  openedAt: z.number(),
  /** When its last prompt came. */
  touchedAt: z.number(),
  /** Sequence numbers of the last prompts. */
  members: z.array(z.int()),
  count: z.int(),
  /** Where the last new texts began, characters. */
  places: z.array(z.int()),
  /** What stood before and behind the last new texts, as far as that says where they were. */
  contexts: z.array(z.int()).max(12),
  /** Chunks of the last prompt that nobody had written before. */
  fresh: z.array(z.int()).max(8),
  /** Chunks that it had less often than the one that it was made from, and how often it still had them. */
  lost: z.array(z.int()).max(8),
  left: z.array(z.int()).max(8),
  /** It changed the end. */
  ended: z.boolean(),
  /** CUSUM by pattern, nats. */
  evidence: z.record(z.enum(patterns), z.number()),
  principals: z.array(z.object({ name: z.string(), organization: z.string().nullable(), evidence: z.number() })),
  /** Findings stated so far. */
  revisions: z.int(),
  /** When it was last stated; 0 for never. */
  statedAt: z.number(),
})
export type Cluster = z.infer<typeof Cluster>

/** Groups by id, least recently grown first; a list in a snapshot. */
export class Clusters extends Map<number, Cluster> {
  toJSON(): Cluster[] {
    return [...this.values()]
  }
}

export const State = z.object({
  memory: MemoryState,
  clusters: z.union([z.instanceof(Clusters), z.array(Cluster).transform((list) => new Clusters(list.map((each) => [each.id, each])))]),
  nextCluster: z.int(),
})
