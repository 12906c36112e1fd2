import { decode } from '../../bus/codec.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView } from '../../bus/view.ts'
import { isOfTheShell } from '../../pipeline/host/lane/unseen.ts'
import { type Containment, type Finding, termHeader, topics } from '../../schemas/index.ts'
import { compareFindings } from '../crash/compare-findings.ts'
import { countMissing, type Sql } from '../end-to-end/stored.ts'
import type { Injury } from './faults.ts'
import type { Ledger } from './load.ts'

export interface Discrepancies {
  /** Acknowledged events that are neither stored nor stated as lost. */
  readonly lost: number
  /** Rows beyond the first of an event. */
  readonly duplicated: number
  readonly findingsDiffering: number
  /** Actions carried out more than once. */
  readonly repeated: number
  readonly gapsWrong: number
  /** Words for what is wrong, for the report. */
  readonly why: readonly string[]
}

/**
 * Acknowledged events that are not stored. A node that answers while its disk is full loses events and counts them: as many
 * may be missing as it says, and not one more.
 */
export async function checkEvents(sql: Sql, ledger: Ledger, say: (line: string) => void): Promise<number> {
  let lost = await countMissing(sql, ledger.flows, 'id', 'flows')
  if (lost > 0) say(`${lost} acknowledged flows are not stored`)
  for (const [node, answers] of ledger.answers) {
    const missing =
      (await countMissing(sql, answers, 'id', "requests WHERE outcome = 'served'")) +
      (await countMissing(sql, answers, 'request', 'fingerprints'))
    const [stated] = await sql(
      `SELECT sum(lost) AS lost FROM (
         SELECT finding, argMax(JSONExtractUInt(evidence, 'count'), revision) AS lost
         FROM findings WHERE detector = 'coverage' AND scope = '${node}' AND JSONExtractString(evidence, 'kind') = 'dropped' GROUP BY finding)`,
    )
    const unstated = Math.max(0, missing - Number(stated?.lost ?? 0))
    if (missing > 0)
      say(
        `${node}: ${missing} events of answered requests are not stored, ${Number(stated?.lost ?? 0)} of all its events are stated as lost`,
      )
    lost += unstated
  }
  return lost
}

/** Findings on the log against those of a host that nothing disturbed, over the same log. */
export async function checkFindings(bus: EventBus, say: (line: string) => void): Promise<{ findings: number; differing: number }> {
  const stated = new Map<string, Finding>()
  for await (const finding of eventsOf(bus, 'findings', 'finding')) {
    if (isOfTheShell(finding)) continue
    stated.set(`${finding.id}/${finding.revision}`, finding)
  }
  const { expected, missing, extra } = await compareFindings(bus, new Set(stated.keys()))
  const complain = (what: string, { id, revision, detector, scope, evidence, window }: Finding) =>
    say(
      `${what} finding ${id}/${revision} of ${detector} ${scope} ${new Date(window.from).toISOString()} ${JSON.stringify(evidence).slice(0, 300)}`,
    )
  for (const finding of missing.slice(0, 5)) complain('missing', finding)
  for (const finding of extra.slice(0, 5).flatMap((id) => stated.get(id) ?? [])) complain('extra', finding)
  return { findings: expected.size, differing: missing.length + extra.length }
}

/** Actions whose record `executed` is on the log as more than one event. */
export async function checkActions(bus: EventBus): Promise<number> {
  const executed = new Map<string, Set<string>>()
  let term = -1
  for await (const { data, event, termOf } of recordsOf(bus, 'actions', 'action')) {
    term = Math.max(term, termOf.newest)
    if (termOf.own < term || data.state !== 'executed') continue
    executed.set(data.id, (executed.get(data.id) ?? new Set()).add(event))
  }
  return [...executed.values()].filter(({ size }) => size > 1).length
}

/** Leases as every reader sees them. */
export async function readLeases(bus: EventBus): Promise<readonly Containment[]> {
  const view = await openView(bus, 'containments')
  const leases = [...view.values()]
  await view.close()
  return leases
}

/**
 * The ledger of gaps against what was done: each gap that names a node, and each stretch of lag, has its cause among the
 * injuries, and each injury that must have left a gap left one. A node that the log itself has not heard for a while was silent,
 * whatever the reason: on a machine that is busy with something else samples come late without any injury.
 */
export async function checkGaps(
  bus: EventBus,
  injuries: readonly Injury[],
  known: { readonly telemetryMs: number; readonly objectiveMs: number; readonly ahead: string },
  say: (line: string) => void,
): Promise<{ gaps: number; wrong: number }> {
  const newest = new Map<string, Finding>()
  for await (const finding of eventsOf(bus, 'findings', 'finding')) {
    if (finding.detector !== 'blindness' && finding.detector !== 'coverage') continue
    if ((newest.get(finding.id)?.revision ?? -1) <= finding.revision) newest.set(finding.id, finding)
  }
  const gaps = [...newest.values()]
  let wrong = 0
  const complain = (text: string) => {
    wrong++
    say(text)
  }
  const near = (finding: Finding, injury: Injury, slackMs: number) =>
    finding.window.from <= injury.until + slackMs && finding.window.until >= injury.from - slackMs
  // A recovery takes its time: what is read late began to wait while something was broken.
  const slack = 45_000
  const heard = await heardFrom(bus)
  for (const gap of gaps) {
    const kind = String(gap.evidence.kind)
    if (kind === 'skewed') {
      if (gap.evidence.source !== known.ahead && !String(gap.evidence.sources ?? '').includes(known.ahead))
        complain(`a gap says that the clock of another than ${known.ahead} is wrong: ${JSON.stringify(gap.evidence)}`)
    } else if (gap.detector === 'coverage') {
      const causes = injuries.filter(({ victim }) => victim === gap.scope || victim === 'kafka' || victim === 'disk')
      if (!causes.some((injury) => near(gap, injury, slack)) && !isUnheard(heard.get(gap.scope) ?? [], gap, known.telemetryMs))
        complain(`a gap of ${gap.scope} that nothing caused: ${gap.title} ${JSON.stringify(gap.evidence)}`)
    } else if (!injuries.some((injury) => near(gap, injury, slack))) {
      complain(`a gap that nothing caused: ${gap.title} ${new Date(gap.window.from).toISOString()} ${JSON.stringify(gap.evidence)}`)
    }
  }
  if (!gaps.some(({ evidence }) => evidence.kind === 'skewed')) complain(`nothing says that the clock of ${known.ahead} is wrong`)
  for (const injury of injuries) {
    const silentMs = injury.undone - injury.from
    const node = injury.victim.startsWith('node-') && injury.victim !== known.ahead
    // Three samples missed for certain, whatever the phase.
    if (node && (injury.fault === 'pause' || injury.fault === 'kill') && silentMs > 5 * known.telemetryMs) {
      const stated = gaps.some((gap) => gap.detector === 'coverage' && gap.scope === injury.victim && near(gap, injury, 2_000))
      if (!stated) complain(`${injury.victim} was silent for ${silentMs} ms, and nothing says so`)
    }
    if (injury.fault === 'cluster away' && silentMs > known.objectiveMs + 2_000) {
      if (!gaps.some((gap) => gap.evidence.kind === 'lagged' && near(gap, injury, slack)))
        complain(`the cluster was away for ${silentMs} ms, and nothing was said to lag`)
    }
  }
  return { gaps: gaps.length, wrong }
}

/** When the log took each sample of each node, by the log's own clock. */
async function heardFrom(bus: EventBus): Promise<ReadonlyMap<string, readonly number[]>> {
  const heard = new Map<string, number[]>()
  for (const { partition, start } of await bus.partitions(topics.telemetry.name)) {
    for await (const records of bus.read('telemetry', partition, start)) {
      for (const record of records) {
        const event = decode(record)
        if (event.kind !== 'telemetry') continue
        const times = heard.get(event.data.node) ?? []
        times.push(record.timestamp)
        heard.set(event.data.node, times)
      }
    }
  }
  return heard
}

/** Whether two samples were missing in a row, about the time of a gap. */
function isUnheard(times: readonly number[], { window }: Finding, telemetryMs: number): boolean {
  return times.some((at, i) => {
    const next = times[i + 1] ?? at
    return next - at > 2 * telemetryMs && at <= window.until + 2 * telemetryMs && next >= window.from - 2 * telemetryMs
  })
}

async function* eventsOf<K extends 'finding'>(bus: EventBus, topic: 'findings', kind: K): AsyncGenerator<Finding> {
  for (const { partition, start } of await bus.partitions(topics[topic].name)) {
    for await (const records of bus.read(topic, partition, start)) {
      for (const record of records) {
        const event = decode(record)
        if (event.kind === kind) yield event.data as Finding
      }
    }
  }
}

async function* recordsOf(bus: EventBus, topic: 'actions', kind: 'action') {
  let newest = -1
  for (const { partition, start } of await bus.partitions(topic)) {
    for await (const records of bus.read(topic, partition, start)) {
      for (const record of records) {
        const event = decode(record)
        if (event.kind === 'term') newest = Math.max(newest, event.data.number ?? record.offset)
        if (event.kind === kind)
          yield { data: event.data, event: event.id, termOf: { newest, own: Number(record.headers[termHeader] ?? 0) } }
      }
    }
  }
}
