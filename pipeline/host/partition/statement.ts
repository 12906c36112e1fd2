import { maxValueBytes } from '../../../bus/codec.ts'
import type { DetectorDefinition, FindingDraft } from '../../../detectors/contract.ts'
import { type EventId, Finding, type Instant } from '../../../schemas/index.ts'
import { HostError } from '../errors.ts'
import { findingId, sha256 } from '../finding-id.ts'
import type { Entry } from './keyed-state.ts'

/** Episodes of one key whose revisions are counted; the least recently revised is forgotten. */
const episodes = 1_024
/** The longest draft whose finding fits a record, with all that is put around it. */
const longestDraft = maxValueBytes - 16_384

/**
 * Makes a finding of what a detector stated, and counts its revision. Null when it says, word for word, what the last
 * revision of the episode said.
 *
 * @throws HostError `DETECTOR_FAULT` when the result is not a valid finding, such as a confidence outside [0,1], or fits no record
 */
export function stateFinding(
  definition: DetectorDefinition,
  entry: Entry,
  draft: FindingDraft,
  at: { readonly time: Instant; readonly decidedBy: EventId | null },
): Finding | null {
  const text = JSON.stringify(draft)
  const digest = sha256(text).slice(0, 16)
  const last = entry.revisions?.get(draft.opened)
  if (last?.digest === digest) return null
  const bytes = Buffer.byteLength(text)
  if (bytes > longestDraft) {
    throw new HostError(
      'DETECTOR_FAULT',
      `${definition.id}: a finding of ${bytes} bytes; at most ${longestDraft} fit a record: put less in its evidence`,
    )
  }
  const { opened, threats, ...said } = draft
  const parsed = Finding.safeParse({
    ...said,
    id: findingId(definition.id, definition.version, entry.key, opened),
    revision: last === undefined ? 0 : last.revision + 1,
    time: at.time,
    detector: definition.id,
    version: definition.version,
    scope: entry.key,
    threats: threats ?? definition.threats,
    decidedBy: at.decidedBy,
  })
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    throw new HostError('DETECTOR_FAULT', `${definition.id}: not a valid finding: ${issue?.path.join('.')}: ${issue?.message}`)
  }
  revise(entry, opened, { revision: parsed.data.revision, digest })
  return parsed.data
}

function revise(entry: Entry, opened: EventId, last: { revision: number; digest: string }): void {
  entry.revisions ??= new Map()
  entry.revisions.delete(opened)
  entry.revisions.set(opened, last)
  const [eldest] = entry.revisions.keys()
  if (entry.revisions.size > episodes && eldest !== undefined) entry.revisions.delete(eldest)
}
