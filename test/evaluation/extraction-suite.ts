import { extractionAttacks } from '../attacks/extraction-attacks.ts'
import { thefts } from '../attacks/thefts.ts'
import { recordTheft, runTheft, type TheftRun, theftForms } from './extraction-run.ts'
import { theftGoals } from './goals.ts'
import { quantileOf, wilson } from './intervals.ts'
import type { Curve, Row, SuiteResult } from './results.ts'
import { type Scene, seedOf } from './scene.ts'
import type { Settings } from './settings.ts'
import { pair, percent } from './text-table.ts'

interface Measured {
  readonly attack: string
  /** Natural queries before the attack proper. */
  readonly seeds: number
  readonly form: string
  readonly runs: readonly TheftRun[]
}

/** Nothing was tuned on the second; where both have one of a name, the tuned one's stands. */
const tuned = new Set(extractionAttacks.map(({ name }) => name))
const evaluatedThefts = [...extractionAttacks, ...thefts.filter(({ name }) => !tuned.has(name))]

/** Model theft, in every form. */
export async function evaluateExtraction(scene: Scene, settings: Settings, progress: (line: string) => void): Promise<SuiteResult> {
  const measured: Measured[] = []
  const forms = theftForms.filter(({ name }) => name.includes(settings.form))
  for (const attack of evaluatedThefts) {
    if (!attack.name.includes(settings.only)) continue
    const byForm = forms.map((form) => ({ form, runs: [] as TheftRun[] }))
    for (let n = 0; n < settings.runs; n++) {
      const seed = seedOf(settings.split, 100_000 + n)
      const theft = await recordTheft(scene, attack, seed, Math.min(settings.queries, Math.max(...forms.map(({ most }) => most))))
      for (const { form, runs } of byForm) runs.push(await runTheft(scene, theft, form, seed))
    }
    for (const { form, runs } of byForm) {
      const one = { attack: attack.name, seeds: attack.seeds, form: form.name, runs }
      measured.push(one)
      progress(`extraction · ${rowOf(one).cells.join(' · ')}`)
    }
  }
  const table = {
    title: 'Model theft',
    note: `${settings.runs} runs each, ${settings.queries} queries (1,000 where mixed or slow). Counts are the theft's own queries: median / p95, – where they lie among the runs never contained. Leaked: answers in full, of all.`,
    columns,
    rows: measured.map(rowOf),
  }
  return { suite: 'extraction', tables: [table], curves: forms.map(({ name }) => curveOf(name, measured)), raw: measured }
}

const columns = [
  'attack',
  'form',
  'detected',
  '95 % interval',
  'queries to finding',
  'to containment',
  'to refusal',
  'leaked',
  'rounded',
  'labels alone',
  'accounts contained',
  'leakage then',
  'strangers named',
]

function rowOf({ attack, seeds, form, runs }: Measured): Row {
  const count = runs.length
  const detected = runs.filter(({ found }) => found !== null).length
  const bounds = wilson(detected, count)
  const median = (of: (run: TheftRun) => number) => quantileOf(runs.map(of), count, 0.5)
  const leaked = median(({ whole }) => whole)
  const leakage = runs.flatMap((run) => run.leakage ?? [])
  return {
    cells: [
      `${attack}${tuned.has(attack) ? '' : ' *'}${seeds > 0 ? ` (${seeds} seeds first)` : ''}`,
      form,
      `${detected}/${count}`,
      `${percent(bounds.low)}–${percent(bounds.high)}`,
      pair(runs.map(({ found }) => found)),
      pair(runs.map(({ contained }) => contained)),
      pair(runs.map(({ refused }) => refused)),
      leaked,
      median(({ rounded }) => rounded),
      median(({ labels }) => labels),
      median(({ accountsContained }) => accountsContained),
      leakage.length === 0 ? null : Math.round((quantileOf(leakage, leakage.length, 0.5) ?? 0) * 1_000) / 1_000,
      runs.reduce((sum, { strangers }) => sum + strangers, 0),
    ],
    checks: theftGoals({
      attack,
      form,
      contained: quantileOf(
        runs.flatMap((run) => run.contained ?? []),
        count,
        0.5,
      ),
      leaked,
    }),
  }
}

/** Answers in full against queries sent: the mean of the runs, after each tenth. */
function curveOf(form: string, measured: readonly Measured[]): Curve {
  const lines = measured
    .filter((one) => one.form === form)
    .map(({ attack, runs }) => {
      const steps = Math.min(...runs.map(({ course }) => course.length))
      const queries = runs[0]?.queries ?? 0
      const points: (readonly [number, number])[] = [[0, 0]]
      for (let i = 0; i < steps; i++) {
        points.push([((i + 1) / steps) * queries, runs.reduce((sum, { course }) => sum + (course[i] ?? 0), 0) / runs.length])
      }
      return { name: attack, dashed: false, points }
    })
  return { title: `Answers leaked: ${form}`, across: 'queries', up: 'answers in full', lines }
}
