import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { labOptions } from './options.ts'
import { attackJobs } from './prompts-attacks.ts'
import { benignJobs } from './prompts-benign.ts'
import { jobEvents } from './prompts-events.ts'
import type { Job } from './prompts-jobs.ts'
import { readTexts } from './prompts-texts.ts'
import { unseenJobs } from './prompts-unseen.ts'
import { inMemory } from './stream.ts'

const about = "Measures prompt-search: attack and honest jobs through the prompts' fingerprint and the detector, among ordinary prompts."

const options = labOptions(about, {
  data: { type: 'string', default: '../shared/data' },
  split: { type: 'string', default: 'development' },
  runs: { type: 'string', default: '10' },
  accounts: { type: 'string', default: '1' },
  seed: { type: 'string', default: '1' },
  only: { type: 'string', default: '' },
  cold: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
})
const heldBack = options.split === 'held-back'
const texts = readTexts(options.data, heldBack ? 1 : 0)
const runs = Number(options.runs)
const seed = Number(options.seed) + (heldBack ? 1_000_000 : 0)
const setting = { texts, key: heldBack ? 9 : 7, ordinaryAtFirst: options.cold ? 0 : 500, accounts: Number(options.accounts) }
const rows: Record<string, string | number>[] = []
let events = 0
let micros = 0

/** One model that a job meets. @returns the prompt of the job after which it was named */
function shift(job: Job, random: Random): number | null {
  const detector = inMemory(promptSearch, {})
  let last = 0
  for (const { event, asked } of jobEvents(job, random, setting)) {
    const before = process.cpuUsage()
    const findings = detector(event)
    const { user, system } = process.cpuUsage(before)
    micros += user + system
    events++
    last = asked === 0 ? last : asked
    if (last > 0 && findings.some((finding) => finding.confidence >= 0.5)) return last
  }
  return null
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? null

function measure(kind: string, name: string, job: Job): number {
  const found = Array.from({ length: runs }, (_, i) => shift(job, seeded(seed + i * 101 + name.length)))
  const at = found.map((each) => each ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b)
  const hits = found.filter((each) => each !== null).length
  const row = { kind, name, runs, found: hits, median: quantile(at, 0.5) ?? '', p95: quantile(at, 0.95) ?? '' }
  rows.push(row)
  if (!options.json && (kind === 'attack' || hits > 0)) process.stdout.write(`${Object.values(row).join('  ')}\n`)
  return hits
}

for (const [name, job] of Object.entries(attackJobs)) if (name.includes(options.only)) measure('attack', name, job)
let touched = 0
for (const [name, job] of Object.entries(benignJobs)) if (name.includes(options.only)) touched += measure('benign', name, job)
let unseen = 0
for (const [name, job] of Object.entries(unseenJobs)) if (name.includes(options.only)) unseen += measure('unseen', name, job)
const summary = {
  benign: rows.filter((row) => row['kind'] === 'benign').length * runs,
  touched,
  unseen: rows.filter((row) => row['kind'] === 'unseen').length * runs,
  unseenTouched: unseen,
  events,
  micros: Math.round((100 * micros) / events) / 100,
}
process.stdout.write(options.json ? `${JSON.stringify({ rows, summary })}\n` : `${JSON.stringify(summary)}\n`)
