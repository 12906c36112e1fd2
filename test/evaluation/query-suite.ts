import { type Form, plain, standardForms, sybil } from '../attacks/forms.ts'
import { evaluatedAttacks } from './attacks.ts'
import { goalsOf } from './goals.ts'
import { quantileOf, wilson } from './intervals.ts'
import { type QueryRun, runQueryAttack } from './query-run.ts'
import { openReferences } from './references.ts'
import type { Curve, Line, Row, SuiteResult } from './results.ts'
import { type Scene, seedOf } from './scene.ts'
import type { Settings } from './settings.ts'
import { pair, percent } from './text-table.ts'

/** Nothing is enforced: what the attack can do, and what the published detectors see of the same queries. */
const undefended: Form = { ...plain, name: 'undefended' }
const queryForms: readonly Form[] = [undefended, ...standardForms, sybil({ accounts: 50 })]

interface Measured {
  readonly attack: string
  readonly form: string
  readonly tuned: boolean
  readonly runs: readonly QueryRun[]
}

/** Black-box attacks on single inputs, in every form. */
export async function evaluateQueries(scene: Scene, settings: Settings, progress: (line: string) => void): Promise<SuiteResult> {
  const measured: Measured[] = []
  for (const attack of evaluatedAttacks) {
    for (const form of queryForms) {
      if (!attack.name.includes(settings.only) || !form.name.includes(settings.form)) continue
      const runs: QueryRun[] = []
      const where = form === undefended ? { ...scene, options: { ...scene.options, delayMs: Number.POSITIVE_INFINITY } } : scene
      for (let n = 0; n < settings.runs; n++) {
        const references = form === undefended ? openReferences() : []
        runs.push(await runQueryAttack(where, { attack, form, seed: seedOf(settings.split, n), budget: settings.budget, references }))
      }
      const one = { attack: attack.name, form: form.name, tuned: attack.tuned, runs }
      measured.push(one)
      progress(`query · ${rowOf(one).cells.join(' · ')}`)
    }
  }
  const tables = [
    {
      title: 'Attacks on single inputs',
      note: `${settings.runs} runs each, at most ${settings.budget} queries; containment ${settings.delayMs} ms after the finding. Queries until the next one is refused or told less: median / p95, of all runs, – where they lie among the runs never contained.`,
      columns,
      rows: measured.map(rowOf),
    },
    referenceTable(measured),
  ]
  return { suite: 'query', tables, curves: measured.filter(({ form }) => form === undefended.name).map(curveOf), raw: measured }
}

const columns = [
  'attack',
  'form',
  'detected',
  '95 % interval',
  'queries to finding',
  'to containment',
  'to refusal',
  'over before',
  'success before containment',
  'success at all',
  'answers in full',
  'strangers named',
]

/** Runs that ended by themselves before anybody could know: success or not, after so few queries. */
function isOver(run: QueryRun, budget: number): boolean {
  return run.contained === null && run.queries < budget
}

function successBefore({ succeeded, contained }: QueryRun): boolean {
  return succeeded !== null && (contained === null || succeeded <= contained)
}

function rowOf({ attack, form, tuned, runs }: Measured): Row {
  const count = runs.length
  const detected = runs.filter(({ found }) => found !== null).length
  const bounds = wilson(detected, count)
  const before = runs.filter(successBefore).length
  const contained = runs.flatMap((run) => run.contained ?? [])
  const [median, p95] = [0.5, 0.95].map((share) => quantileOf(contained, count, share))
  const most = Math.max(...runs.map(({ queries }) => queries))
  return {
    cells: [
      tuned ? attack : `${attack} *`,
      form,
      `${detected}/${count}`,
      `${percent(bounds.low)}–${percent(bounds.high)}`,
      pair(runs.map(({ found }) => found)),
      pair(runs.map((run) => run.contained)),
      pair(runs.map(({ refused }) => refused)),
      runs.filter((run) => isOver(run, most)).length,
      `${before}/${count}`,
      `${runs.filter(({ succeeded }) => succeeded !== null).length}/${count}`,
      Math.round(runs.reduce((sum, { whole }) => sum + whole, 0) / count),
      runs.reduce((sum, { strangers }) => sum + strangers, 0),
    ],
    checks: goalsOf({
      attack,
      form,
      median: median ?? null,
      p95: p95 ?? null,
      detected: detected / count,
      before: before / count,
      atAll: runs.filter(({ succeeded }) => succeeded !== null).length / count,
    }),
  }
}

function referenceTable(measured: readonly Measured[]) {
  const whole = measured.filter(({ form }) => form === undefended.name)
  const names = [...new Set(openReferences().map(({ name }) => name))]
  return {
    title: 'Ours and published detectors on the same queries',
    note: 'Nothing is enforced here, so that all see the whole attack: runs detected, and queries to the first finding or flag, median / p95. The published ones see the raw inputs, which ours never do.',
    columns: ['attack', 'ours', ...names],
    rows: whole.map(({ attack, runs }) => ({
      cells: [
        attack,
        `${runs.filter(({ found }) => found !== null).length}/${runs.length}: ${pair(runs.map(({ found }) => found))}`,
        ...names.map((name) => {
          const flags = runs.map(({ references }) => references[name] ?? null)
          return `${flags.filter((flag) => flag !== null).length}/${runs.length}: ${pair(flags)}`
        }),
      ],
      checks: [],
    })),
  }
}

function curveOf({ attack, runs }: Measured): Curve {
  const names = [...new Set(runs.flatMap(({ references }) => Object.keys(references)))]
  return {
    title: attack,
    across: 'queries',
    up: 'runs detected',
    lines: [
      cumulative(
        'ours',
        runs.map(({ found }) => found),
        false,
      ),
      cumulative(
        'contained',
        runs.map(({ contained }) => contained),
        false,
      ),
      ...names.map((name) =>
        cumulative(
          name,
          runs.map(({ references }) => references[name] ?? null),
          true,
        ),
      ),
    ],
  }
}

/** Share of runs that had come to it by each number of queries. */
function cumulative(name: string, values: readonly (number | null)[], dashed: boolean): Line {
  const sorted = values.flatMap((value) => value ?? []).sort((a, b) => a - b)
  const points: (readonly [number, number])[] = [[0, 0]]
  sorted.forEach((value, i) => points.push([value, i / values.length], [value, (i + 1) / values.length]))
  return { name, dashed, points }
}
