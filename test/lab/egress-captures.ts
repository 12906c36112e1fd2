import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import type { FlowEvent } from '../../schemas/index.ts'
import { seeded } from '../attacks/random.ts'
import { drawTraits, type TimedFlow, workloadFlows } from '../benign/egress-workload.ts'
import { eventOf, inMemory } from './stream.ts'

/** A recorded flow, and whether it is the attacker's. */
interface Recorded extends TimedFlow {
  readonly attack: boolean
}

const pool = 'lab'

/** The C2 polls by capture and source, in time order. */
function polls(data: string): Map<string, Recorded[]> {
  const bySource = new Map<string, Recorded[]>()
  for (const line of gunzipSync(readFileSync(join(data, 'zeek/c2-poll-requests.jsonl.gz')))
    .toString('utf8')
    .split('\n')) {
    if (line === '') continue
    const row = JSON.parse(line) as Record<string, string | number>
    const key = `${row['capture']} ${row['src']}`
    const list = bySource.get(key) ?? []
    bySource.set(key, list)
    list.push({
      at: Math.round(Number(row['ts']) * 1_000),
      attack: row['label'] === 'c2',
      data: flow(
        String(row['dst']),
        Number(row['dport']),
        String(row['proto']),
        Number(row['orig_bytes'] ?? 0),
        Number(row['resp_bytes'] ?? 0),
      ),
    })
  }
  return bySource
}

function flow(address: string, port: number, protocol: string, bytesOut: number, bytesIn: number): FlowEvent {
  return {
    workload: 'captured',
    pool,
    connection: null,
    destination: { address, port, name: null },
    protocol: protocol === 'tcp' || protocol === 'udp' || protocol === 'icmp' ? protocol : 'other',
    service: null,
    bytesOut,
    bytesIn,
    durationMs: 0,
  }
}

/** A campaign's conn.log, by originating host. */
function campaign(path: string, hosts: readonly string[]): Map<string, Recorded[]> {
  const bySource = new Map<string, Recorded[]>()
  let fields: string[] = []
  for (const line of readFileSync(path, 'utf8').split('\n')) {
    const cells = line.split('\t')
    if (cells[0] === '#fields') fields = cells.slice(1)
    if (line === '' || line.startsWith('#')) continue
    const cell = (name: string) => cells[fields.indexOf(name)] ?? ''
    const count = (name: string) => (cell(name) === '-' ? 0 : Number(cell(name)))
    const list = bySource.get(cell('id.orig_h')) ?? []
    bySource.set(cell('id.orig_h'), list)
    list.push({
      // Zeek writes the start; the bytes are known when the connection ends.
      at: Math.round((Number(cell('ts')) + count('duration')) * 1_000),
      attack: hosts.includes(cell('id.resp_h')),
      data: flow(cell('id.resp_h'), Number(cell('id.resp_p')), cell('proto'), count('orig_bytes'), count('resp_bytes')),
    })
  }
  for (const list of bySource.values()) list.sort((a, b) => a.at - b.at)
  return bySource
}

/** Replays a recording after ten minutes of an ordinary workload, or with nothing before it. */
function replay(
  recorded: readonly Recorded[],
  seed: number,
  lead: boolean,
): { caught: number | null; reason: string; falseEpisodes: number } {
  const see = inMemory(egressAnomaly, {})
  const first = recorded[0]?.at ?? 0
  let n = 0
  if (lead) {
    const random = seeded(seed)
    const traits = { ...drawTraits(random, 0, false), rate: 0.5, workload: 'captured', pool }
    for (const f of workloadFlows(traits, random, first - 600_000)) {
      if (f.at >= first) break
      see(eventOf('flow', f.at, n++, f.data))
    }
  }
  let [attacks, caught, reason]: [number, number | null, string] = [0, null, '']
  const others = new Set<string>()
  for (const f of recorded) {
    if (f.attack) attacks++
    for (const finding of see(eventOf('flow', f.at, n++, f.data))) {
      if (f.attack && caught === null) [caught, reason] = [attacks, `${String(finding.evidence['reason'])} ${finding.severity}`]
      if (!f.attack) others.add(finding.opened)
    }
  }
  return { caught, reason, falseEpisodes: others.size }
}

export async function captures(data: string, seed: number): Promise<Record<string, string | number>[]> {
  const rows: Record<string, string | number>[] = []
  for (const lead of [true, false]) {
    const at: number[] = []
    let [total, others] = [0, 0]
    for (const recorded of polls(data).values()) {
      const result = replay(recorded, seed + total, lead)
      others += result.falseEpisodes
      if (!recorded.some((r) => r.attack)) continue
      total++
      if (result.caught !== null) at.push(result.caught)
    }
    at.sort((a, b) => a - b)
    rows.push({
      captures: lead ? 'C2 polls after 10 min of an ordinary workload' : 'C2 polls, nothing before',
      caught: `${at.length}/${total}`,
      'polls median': at[Math.floor(at.length / 2)] ?? '-',
      p95: at[Math.floor(at.length * 0.95)] ?? '-',
      'episodes about other': others,
    })
  }
  const labels = JSON.parse(readFileSync(join(data, 'zeek/lsass/labels.json'), 'utf8')) as Record<string, { c2_hosts: string[] }>
  for (const id of readdirSync(join(data, 'zeek/lsass')).filter((name) => labels[name] !== undefined)) {
    for (const [host, recorded] of campaign(join(data, 'zeek/lsass', id, 'conn.log'), labels[id]?.c2_hosts ?? [])) {
      if (!recorded.some((r) => r.attack)) continue
      const result = replay(recorded, seed, true)
      const out = recorded.filter((r) => r.attack).reduce((sum, r) => sum + r.data.bytesOut, 0)
      rows.push({
        campaign: id,
        host,
        'C2 bytes out': out,
        caught: result.caught === null ? 'no' : `${result.reason}, flow ${result.caught}`,
        'episodes about other': result.falseEpisodes,
      })
    }
  }
  return rows
}
