import { detectors } from '../../detectors/registry.ts'
import { seeded } from '../attacks/random.ts'
import { rewritten } from '../benign/elastic.ts'
import { isAlarm } from './arena.ts'
import { Detection } from './detection.ts'
import { callerOf, fingerprintEvent, start } from './events.ts'
import { atMost } from './goals.ts'
import { exactUpper } from './intervals.ts'
import type { Table } from './results.ts'
import { observeAll, openArena, type Scene, seedOf } from './scene.ts'
import type { Settings } from './settings.ts'

const aDay = 1_000
const dayMs = 86_400_000
const batch = 250

/** Ordinary requests, as many as wanted: new writings of the split's digits, from accounts that send a thousand a day. */
export async function evaluateGenerated(
  scene: Scene,
  { benignRequests, split }: Settings,
  progress: (line: string) => void,
): Promise<Table> {
  const random = seeded(seedOf(split, 500_000))
  const arena = await openArena(scene, random)
  const accounts = Math.max(20, Math.min(1_000, Math.ceil(benignRequests / aDay)))
  const pauseMs = dayMs / (accounts * aDay)
  const cpu = process.cpuUsage()
  for (let sent = 0; sent < benignRequests; ) {
    const images = Array.from({ length: Math.min(batch, benignRequests - sent) }, () => rewritten(random.pick(scene.images), random))
    for (const seen of await observeAll(scene.victim, images)) {
      await arena.wait(pauseMs)
      await arena.ask(callerOf(`writer-${random.below(accounts)}`), () => seen)
      sent++
    }
    if (sent % 10_000 === 0) progress(`benign · generated · ${sent} · ${arena.findings.filter(isAlarm).length} findings`)
  }
  const { user, system } = process.cpuUsage(cpu)
  const episodes = new Set(arena.findings.filter(isAlarm).map(({ id }) => id)).size
  const days = benignRequests / aDay
  const upper = exactUpper(episodes, benignRequests) * 1e6
  return {
    title: 'Generated ordinary requests',
    note: `New writings of the split's digits (smooth random distortions), from ${accounts} accounts that send 1,000 a day. Generated inputs are not real ones: they say that nothing is seen where nothing is, not how odd real clients are. Upper bounds are exact, 95 %, one-sided: three million without any bound the rate at one in a million.`,
    columns: [
      'requests',
      'episodes',
      'per million',
      'at most',
      'principal-days',
      'per 1,000 at most',
      'notices',
      'CPU µs a request, all of it',
    ],
    rows: [
      {
        cells: [
          benignRequests,
          episodes,
          round((episodes / benignRequests) * 1e6),
          round(upper),
          round(days),
          round((upper * aDay) / 1e3),
          arena.findings.filter((finding) => !isAlarm(finding)).length,
          round((user + system) / benignRequests),
        ],
        checks: [atMost('≤ 1 per million, at most', upper, 1)],
      },
    ],
  }
}

/** What each detector costs on ordinary fingerprints, alone in its host; the host's own cost is the first row. */
export function measureCost({ seen, victim }: Scene): Table {
  const events = seen.map(({ fingerprint }, n) => {
    const about = { n, at: start + n * 100, caller: callerOf(`stranger-${n % 200}`), hardening: 'none', answered: true } as const
    return fingerprintEvent(about, victim.version, fingerprint)
  })
  const once = (names: readonly string[]) => {
    const detection = new Detection(detectors.filter(({ id }) => names.includes(id)).map((definition) => ({ definition, params: {} })))
    const before = process.cpuUsage()
    for (const event of events) detection.observe(event)
    const { user, system } = process.cpuUsage(before)
    return (user + system) / events.length
  }
  // The first passes are of code that is not compiled yet; and whatever else the machine does makes a pass dearer, never cheaper.
  const spent = (names: readonly string[]) => Math.min(...Array.from({ length: 6 }, () => once(names)))
  const reading = detectors.filter(({ observes }) => observes.includes('fingerprint')).map(({ id }) => id)
  const total = spent(reading)
  const rows = reading.map((id) => ({ cells: [id, round(spent([id]))], checks: [] }))
  return {
    title: 'Cost of the detectors',
    note: `CPU of this process over ${events.length} ordinary fingerprints of 200 accounts, the host's own included in every row: the least of six passes.`,
    columns: ['detector', 'CPU µs an event'],
    rows: [...rows, { cells: ['all together', round(total)], checks: [atMost('≤ 25 CPU-seconds a million events', total, 25)] }],
  }
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}
