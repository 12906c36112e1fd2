import { z } from 'zod'
import { MemoryState } from './memory.ts'
import { Search } from './search.ts'

/** Evidence by pattern, in nats of log-likelihood ratio. */
export const patterns = ['bisection', 'antithetic', 'sparse', 'walk', 'search', 'steered', 'creep', 'boundary', 'strange'] as const
export type Pattern = (typeof patterns)[number]

export const Cluster = z.object({
  id: z.number(),
  /** The event of the first point, which names the episode. */
  opened: z.string(),
  openedAt: z.number(),
  lastAt: z.number(),
  /** Sequence numbers of the last members, oldest first. */
  members: z.array(z.number()),
  /** Distinct queries so far. */
  count: z.number(),
  /** Sums by pattern; `boundary` and `strange` are levels, not sums. */
  evidence: z.record(z.enum(patterns), z.number()),
  search: Search,
  /** Members weighed since the last one that said anything. */
  quiet: z.number(),
  principals: z.array(
    z.object({ name: z.string(), organization: z.string().nullable(), queries: z.number(), evidence: z.number(), named: z.boolean() }),
  ),
  /** Findings stated so far because the evidence grew, and those that only name somebody more. */
  revisions: z.number(),
  joined: z.number(),
  /** When it was last stated; 0 for never. */
  statedAt: z.number(),
})
export type Cluster = z.infer<typeof Cluster>

export const State = z.object({
  memory: MemoryState,
  /** Least recently grown first. */
  clusters: z.array(Cluster),
  nextCluster: z.number(),
})
export type State = z.infer<typeof State>
