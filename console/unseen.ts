import { z } from 'zod'
import { CordonError, type Finding, type Incident } from '../schemas/index.ts'
import { ConsoleError } from './errors.ts'
import type { ConsolePorts, Unseen, UnseenGap } from './port.ts'

/** Most gaps named in an answer. */
const namedGaps = 100
/** Of more principals, models or workloads than this the question is asked of everybody: it may name too much, never too little. */
const askedApart = 16
/** The ledger is written by the detectors and read from the store: who is so far behind may have more to say. */
const behindMs = 10_000
/** How long the store may take before it counts as not answering. */
const answerMs = 10_000

const Moment = z.string().transform((text, context) => {
  const at = Date.parse(text)
  if (Number.isNaN(at)) context.addIssue({ code: 'custom', message: 'no time' })
  return at
})
/** What is read of a row of the forensic query `unseen`. */
const Row = z.object({
  kind: z.string(),
  blind: z.boolean(),
  from: Moment,
  until: Moment.nullable(),
  affected: z.enum(['certainly', 'possibly']),
  sentence: z.string(),
})

type Subject = Readonly<Record<string, string>>

/** Whether we were watching what an incident is about, while it went on: from the ledger of what went unseen. */
export async function unseenOf(incident: Incident, findings: readonly Finding[], ports: ConsolePorts): Promise<Unseen> {
  const from = Math.min(incident.openedAt, ...findings.map(({ window }) => window.from))
  const until = incident.closedAt
  const base = { from, until, gaps: [], more: 0 }
  try {
    const asked = { from, ...(until === null ? {} : { until }) }
    const answers = await inTime(
      Promise.all(subjectsOf(incident).map((subject) => ports.forensics.query('unseen', { ...subject, ...asked }))),
    )
    const gaps = distinct(answers.flatMap(({ rows }) => rows.map(gapOf)))
    const caveats = await caveatsOf(ports)
    const named = { gaps: gaps.slice(0, namedGaps), more: Math.max(0, gaps.length - namedGaps) }
    return { ...base, ...named, state: gaps.length === 0 ? 'watched' : 'gaps', answer: answerOf(gaps, caveats), caveats }
  } catch (error) {
    if (!(error instanceof CordonError || error instanceof z.ZodError)) throw error
    const reason = error instanceof CordonError ? error.message : 'its answer could not be read'
    const caveat = `the store does not answer: ${reason}`
    return { ...base, state: 'unknown', answer: `Cannot tell: ${caveat}`, caveats: [caveat] }
  }
}

/** @param gaps all that there are, named or not */
function answerOf(gaps: readonly UnseenGap[], caveats: readonly string[]): string {
  if (gaps.length === 0) return caveats.length === 0 ? 'Watched throughout' : 'Nothing unseen is known of'
  if (gaps.some(({ blind }) => blind)) return 'Yes, something was not seen'
  if (gaps.some(({ unknown }) => unknown)) return 'Not known for all of the time'
  return 'Nothing went unseen, but not all of it was seen as it should have been'
}

/** A store that is stopped rather than away leaves questions open for long. */
async function inTime<T>(answer: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(new ConsoleError('STORE_TIMEOUT', `nothing within ${answerMs / 1_000} s`)), answerMs)
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
  }
}

/** Whom the ledger is asked about; an empty one is everybody. */
function subjectsOf({ principals, models, workloads }: Incident): readonly Subject[] {
  const [model] = models
  const ofModel: Subject = models.length === 1 && model !== undefined ? { model } : {}
  const clients =
    principals.length > 0 ? principals.map((principal) => ({ principal, ...ofModel })) : models.map((name) => ({ model: name }))
  const subjects = [...clients, ...workloads.map((workload) => ({ workload }))]
  return subjects.length === 0 || subjects.length > askedApart ? [{}] : subjects
}

function gapOf(row: Readonly<Record<string, unknown>>): UnseenGap {
  const { kind, blind, from, until, affected, sentence } = Row.parse(row)
  return { from, until, blind, unknown: kind === 'unknown', certain: affected === 'certainly', sentence }
}

/** Subjects share gaps: one that is certain of any of them is. */
function distinct(gaps: readonly UnseenGap[]): UnseenGap[] {
  const byText = new Map<string, UnseenGap>()
  for (const gap of gaps) {
    const key = `${gap.from}/${gap.until}/${gap.sentence}`
    if (gap.certain || !byText.has(key)) byText.set(key, gap)
  }
  const end = ({ until }: UnseenGap) => until ?? Number.POSITIVE_INFINITY
  return [...byText.values()].sort((a, b) => a.from - b.from || (end(a) === end(b) ? 0 : end(a) - end(b)))
}

async function caveatsOf({ status }: ConsolePorts): Promise<string[]> {
  const { roles, lag, lagMs } = await status()
  const behind = (who: string, records: number | undefined, ms: number) =>
    ms > behindMs ? [`the ${who} ${records ?? 'an unknown number of'} records (${Math.round(ms / 1_000)} s) behind`] : []
  return [
    ...roles.flatMap(({ role, ok, summary }) => (!ok && (role === 'detect' || role === 'ingest') ? [`${role}: ${summary}`] : [])),
    ...behind('detectors are', lag?.detect, lagMs.detect),
    ...behind('store is', lag?.sink, lagMs.sink),
  ]
}
