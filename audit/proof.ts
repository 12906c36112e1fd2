import { z } from 'zod'
import { isCheckpointSignedBy, readCheckpoint } from './checkpoint.ts'
import { leafHash, readPlace } from './record.ts'
import { rootOfPath } from './tree.ts'

const longestPath = 53
const Hash = z.string().refine((text) => {
  const bytes = Buffer.from(text, 'base64')
  return bytes.length === 32 && bytes.toString('base64') === text
}, 'expected 32 bytes as base64')

/** That one record is in a log as its writer signed it; needs nothing but the writer's public key to verify. */
export const Proof = z.strictObject({
  /** Byte for byte as it was written. */
  record: z.string(),
  /** RFC 9162 §2.1.3: siblings on the way from the record to the root, base64. */
  path: z.array(Hash).max(longestPath),
  /** Signed note, C2SP tlog-checkpoint. */
  checkpoint: z.string(),
  /** Key that signed it, for whoever has several. */
  publicKey: Hash,
})
export type Proof = z.infer<typeof Proof>

export type ProofVerdict =
  | {
      readonly ok: true
      readonly writer: string
      readonly log: string
      readonly seq: number
      readonly record: unknown
      readonly size: number
      readonly at: number
    }
  | { readonly ok: false; readonly reason: string }

/**
 * Verifies a proof, whatever is given as one.
 *
 * @param keys base64; any of them may have signed it
 */
export function verifyProof(given: unknown, keys: readonly string[]): ProofVerdict {
  const proof = Proof.safeParse(given)
  if (!proof.success) return { ok: false, reason: 'it is no proof: record, path, checkpoint and publicKey are expected' }
  const { record, path, publicKey } = proof.data
  const checkpoint = readCheckpoint(proof.data.checkpoint)
  const place = readPlace(Buffer.from(record))
  if (checkpoint === undefined) return { ok: false, reason: 'its checkpoint cannot be read' }
  if (place === undefined) return { ok: false, reason: 'its record cannot be read' }
  if (!keys.includes(publicKey)) return { ok: false, reason: 'it was signed by another key than the one given' }
  if (!isCheckpointSignedBy(checkpoint, publicKey)) return { ok: false, reason: "the checkpoint's signature does not hold" }
  if (place.log !== checkpoint.log) return { ok: false, reason: 'record and checkpoint are of different logs' }
  const root = rootOfPath(
    leafHash(record),
    place.seq,
    checkpoint.size,
    path.map((text) => Buffer.from(text, 'base64')),
  )
  if (root === null || !root.equals(checkpoint.root)) return { ok: false, reason: 'the record is not in the log that was signed' }
  const { writer, log, size, at } = checkpoint
  return { ok: true, writer, log, seq: place.seq, record: JSON.parse(record), size, at }
}
