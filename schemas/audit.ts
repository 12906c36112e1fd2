import { z } from 'zod'
import { Name } from './primitives.ts'

/**
 * A piece of an audit trail, as its writer made it: a record of a log, or a signed checkpoint over it. Topic `audit`, keyed by
 * writer, so that a log stays in order. What counts is `text`: its bytes are what was hashed or signed; the rest says
 * where it belongs.
 */
export const AuditEvent = z.object({
  /** The node, or who carries out orders. */
  writer: Name,
  /** One log of the writer; a new one begins where the end of the one before may not be known. */
  log: z.string().regex(/^[0-9a-f]{20}$/),
  form: z.enum(['record', 'checkpoint']),
  /** The record's number in its log from 0 on; of a checkpoint, how many records it covers. */
  seq: z.int().min(0),
  text: z.string().min(1).max(1_000_000),
})
export type AuditEvent = z.infer<typeof AuditEvent>
