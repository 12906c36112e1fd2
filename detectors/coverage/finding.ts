import type { EventId, Evidence, Instant, Severity } from '../../schemas/index.ts'
import type { FindingDraft } from '../contract.ts'
import type { State } from './state.ts'

/** What can be wrong with what a node lets us see, or with what it lets itself be told. */
const kinds = {
  silent: { severity: 'medium', title: 'sent nothing: what happened there was not seen' },
  delayed: { severity: 'info', title: 'was heard late: what happened there was seen, but not in time' },
  restarted: { severity: 'low', title: 'began again without an orderly stop: what it had not sent may be lost' },
  dropped: { severity: 'medium', title: 'lost events: its spool was full, or its disk refused' },
  ungoverned: { severity: 'low', title: 'could not read what it is to enforce' },
} as const satisfies Record<string, { severity: Severity; title: string }>

type CoverageKind = keyof typeof kinds

/**
 * What names an episode that the sample `id` opened. One sample can open several, about different things, so each but
 * silence takes a UUIDv8 made of its id.
 */
function episodeOf(kind: CoverageKind, id: EventId): EventId {
  const sort = kind === 'restarted' ? 1 : kind === 'dropped' ? 2 : kind === 'ungoverned' ? 3 : 0
  if (sort === 0) return id
  const digit = (Number.parseInt(id.charAt(24), 16) ^ sort).toString(16)
  return `${id.slice(0, 14)}8${id.slice(15, 19)}8${id.slice(20, 24)}${digit}${id.slice(25)}`
}

interface Gap {
  readonly kind: CoverageKind
  /** The sample that opened it. */
  readonly opened: EventId
  readonly from: Instant
  readonly until: Instant
  /** It goes on: `until` is how far it is known. */
  readonly open: boolean
  /** Events lost, samples missed, delayed or stale. */
  readonly count: number
  readonly more?: Evidence
}

/** A gap names its node in the evidence alone and has confidence 0, so that nothing can be contained because of it. */
export function stateGap({ node, pool }: State, { kind, opened, from, until, open, count, more }: Gap): FindingDraft {
  const { severity, title } = kinds[kind]
  return {
    opened: episodeOf(kind, opened),
    severity,
    confidence: 0,
    threats: [],
    title: `Node ${node} ${title}`,
    principals: [],
    organizations: [],
    model: null,
    workload: null,
    pool: null,
    window: { from, until },
    eventsSeen: Math.max(1, kind === 'delayed' || kind === 'ungoverned' ? count : 1),
    evidence: { kind, node, pool, count, open, ...more },
  }
}
