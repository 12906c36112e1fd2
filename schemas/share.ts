import { z } from 'zod'
import { Instant, Name } from './primitives.ts'

/** A quantity of requests, tokens or cost. */
const Quantity = z.number().min(0).max(1e15)
const RuleName = z.string().regex(/^[a-z][a-z0-9-]{0,31}$/)

/** One window of one limit for one subject: `rule|subject|start of the window`. */
const Bucket = z.string().min(1).max(400)

/** What one node was granted of a bucket, by a name that is never used again: a node that forgot, or began anew, has another. */
const LineName = z.string().min(1).max(200)

/**
 * What a node may spend of a bucket is `granted` minus `released`. Both only grow, so that of two records about a line the
 * larger numbers are the later ones, whatever order they arrive in.
 */
const ShareLine = z.object({
  line: LineName,
  node: Name,
  granted: Quantity,
  released: Quantity,
  /** As the node said last, what runs included at its most. */
  spent: Quantity,
  /** When the node said something last. */
  at: Instant,
})

/** How a bucket is shared out among nodes. Compacted topic `shares`, keyed by bucket; a null record ends it. */
export const Share = z.object({
  bucket: Bucket,
  rule: RuleName,
  subject: Name,
  start: Instant,
  end: Instant,
  ceiling: Quantity,
  /** Granted to nobody, and not kept for nodes that begin. */
  left: Quantity,
  /** Spent by lines that are gone. */
  gone: Quantity,
  lines: z.array(ShareLine).max(64),
})
export type Share = z.infer<typeof Share>

/** What a node says of one line. */
const SpendingLine = z.object({
  bucket: Bucket,
  rule: RuleName,
  subject: Name,
  start: Instant,
  end: Instant,
  line: LineName,
  /** All that it knows to have been granted, what it took without asking included. */
  granted: Quantity,
  released: Quantity,
  spent: Quantity,
  /** What one call needs beyond what the node has, and what it would like; 0 where it asks for nothing. */
  needs: Quantity,
  wants: Quantity,
  /** The amount as it is for whoever calls now, see adaptive limits. */
  ceiling: Quantity,
})
export type SpendingLine = z.infer<typeof SpendingLine>

/** What a node spent and asks for. Topic `spending`, keyed by node. */
export const Spending = z.object({ node: Name, at: Instant, lines: z.array(SpendingLine).max(256) })
export type Spending = z.infer<typeof Spending>
