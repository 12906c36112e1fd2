// Measures prompt-search: attack and honest jobs through the prompts' fingerprint and the detector, among ordinary prompts.
//   node test/lab/prompts.ts [--split development|held-back] [--data PATH] [--runs N] [--accounts N] [--cold] [--only NAME] [--json]
import { parseArgs } from 'node:util'
import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { openPromptFingerprinter } from '../../inference/prompt/fingerprint.ts'
import type { EventOf } from '../../schemas/index.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { attackJobs } from './prompts-attacks.ts'
import { type Ask, benignJobs, type Job } from './prompts-benign.ts'
import { promptEvent } from './prompts-events.ts'
import { readTexts } from './prompts-texts.ts'
import { inMemory } from './stream.ts'

const { values: options } = parseArgs({
  options: {
    data: { type: 'string', default: '../shared/data' },
    split: { type: 'string', default: 'development' },
    runs: { type: 'string', default: '10' },
    accounts: { type: 'string', default: '1' },
    only: { type: 'string', default: '' },
    cold: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
})
const heldBack = options.split === 'held-back'
const texts = readTexts(options.data, heldBack ? 1 : 0)
const runs = Number(options.runs)
const accounts = Number(options.accounts)
const start = Date.UTC(2026, 0, 5)
const ordinaryAtFirst = options.cold ? 0 : 500
const rows: Record<string, string | number>[] = []
let events = 0
let micros = 0

/** One model that several jobs meet on; a job's prompts come among as many ordinary ones. */
function shift(job: Job, random: Random): number | null {
  const fingerprinter = openPromptFingerprinter({ key: new Uint8Array(32).fill(heldBack ? 9 : 7), epoch: 1, now: () => start })
  const detector = inMemory(promptSearch, {})
  let n = 0
  const send = (ask: Ask, principal: string): boolean => {
    const fingerprint = fingerprinter.fingerprint('m', ask.messages, principal)
    const event: EventOf<'prompt'> = promptEvent(start + n * 500, n++, principal, ask, fingerprint)
    const before = process.cpuUsage()
    const findings = detector(event)
    const { user, system } = process.cpuUsage(before)
    micros += user + system
    events++
    return findings.some((finding) => finding.confidence >= 0.5)
  }
  const ordinary = () => send({ messages: [{ role: 'user', text: random.pick(texts.ordinary) }] }, `o${random.below(200)}`)
  for (let i = 0; i < ordinaryAtFirst; i++) ordinary()
  for (const [i, ask] of job(texts, random).entries()) {
    if (i % 2 === 1) ordinary()
    if (send(ask, `a${i % accounts}`)) return i + 1
  }
  return null
}

const quantile = (sorted: readonly number[], share: number) =>
  sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? null

function measure(kind: string, name: string, job: Job): number {
  const found = Array.from({ length: runs }, (_, i) => shift(job, seeded((heldBack ? 1_000_000 : 1) + i * 101 + name.length)))
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
const summary = {
  benign: rows.filter((row) => row['kind'] === 'benign').length * runs,
  touched,
  events,
  micros: Math.round((100 * micros) / events) / 100,
}
process.stdout.write(options.json ? `${JSON.stringify({ rows, summary })}\n` : `${JSON.stringify(summary)}\n`)
