import { writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { coefficients, errors } from '../../detectors/model-leakage/coefficients.ts'
import { estimate, type Kind, kindOf } from '../../detectors/model-leakage/estimate.ts'
import { type Case, type Coefficients, casesOf, fit, predicted, unseen } from './leakage-fit.ts'
import { forms, readyBackend, record, recorded, thieves } from './leakage-recording.ts'
import { type Mark, type MarkName, markNames, openMark } from './leakage-victims.ts'
import { labOptions } from './options.ts'

const about = `Measures model-leakage: thieves rob five models, students are trained on what they were told, and what the detector estimates is held
against what the students reach. Recordings are kept under --cache, some 10 CPU-seconds each to make; with --recorded nothing new is
played. --write fits on the development split and writes detectors/model-leakage/coefficients.ts; without it those are measured.`

const options = labOptions(about, {
  // Recordings of others hold no extraction; taken so that every lab script is called alike.
  data: { type: 'string' },
  split: { type: 'string', default: 'development' },
  cache: { type: 'string', default: `${tmpdir()}/leakage` },
  marks: { type: 'string', default: markNames.join(',') },
  seeds: { type: 'string', default: '1' },
  attacks: { type: 'string', default: '' },
  most: { type: 'string', default: '4000' },
  recorded: { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
})
const heldBack = options.split === 'held-back'
if (heldBack && options.write) throw new Error('coefficients are fitted on the development split')
const firstSeed = heldBack ? 5_000_001 : 1
/** The last is never fitted on: another architecture, another task. */
const foreign: MarkName = 'letters'
const everywhere = [
  'digits of the same source',
  'augmented digits',
  'brightness sweep',
  'noise in every other query',
  'uniform noise',
  'letters',
  'hundred inputs over and over',
  'crops',
]
const rows: Record<string, string | number>[] = []

function report(row: Record<string, string | number>): void {
  rows.push(row)
  const line = Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(' · ')
  if (options.json) console.error(line)
  else console.log(line)
}

/** Longest where the estimate is needed longest; those who watch the answers are slow to play. */
function lengthOf(mark: MarkName, attack: string): number {
  if (attack.startsWith('active')) return 400
  const likely = attack === 'digits of the same source' || attack === 'augmented digits'
  if (mark === 'digits') return likely ? 4_000 : 1_600
  return likely ? 1_600 : 800
}

async function gather(name: MarkName): Promise<Case[]> {
  const cache = `${options.cache}/${options.split}`
  let mark: Mark | null = null
  const cases: Case[] = []
  const wanted = options.attacks === '' ? null : options.attacks.split(',')
  for (const attack of name === 'digits' ? thieves : everywhere) {
    if (wanted !== null && !wanted.includes(attack)) continue
    for (let s = 0; s < Number(options.seeds); s++) {
      const plan = { mark: name, attack, seed: firstSeed + s, most: Math.min(Number(options.most), lengthOf(name, attack)) }
      let recording = recorded(plan, cache)
      if (recording === null && options.recorded) continue
      if (recording === null) {
        mark ??= await openMark(name, heldBack)
        recording = await record(mark, plan, cache)
      }
      cases.push(...casesOf(recording))
    }
  }
  await mark?.close()
  return cases
}

interface Errors {
  readonly mean: number
  readonly p90: number
  readonly bias: number
  readonly count: number
}

function errorsOf(cases: readonly Case[], by: Coefficients, truth: (each: Case) => number = (each) => each.fidelity): Errors {
  const off = cases.map((each) => predicted(each.features, by) - truth(each))
  const sizes = off.map(Math.abs).sort((a, b) => a - b)
  const of = (sum: number) => Math.round((1e4 * sum) / Math.max(1, off.length)) / 1e4
  const p90 = sizes[Math.floor(0.9 * sizes.length)] ?? 0
  return {
    mean: of(sizes.reduce((a, b) => a + b, 0)),
    p90: Math.round(1e4 * p90) / 1e4,
    bias: of(off.reduce((a, b) => a + b, 0)),
    count: off.length,
  }
}

await readyBackend()
const all: Case[] = []
for (const name of options.marks.split(',')) {
  const known = markNames.find((each) => each === name)
  if (known === undefined) throw new Error(`there is no mark named ${name}; there is ${markNames.join(', ')}`)
  all.push(...(await gather(known)))
}
const home = all.filter(({ mark }) => mark !== foreign)
const second = all.filter(({ mark }) => mark === foreign)
const fitted = options.write ? fit(home) : coefficients

/** Estimate less truth of every case, by coefficients that were fitted on the others of `name`; nothing is fitted on the held-back split. */
function leftOut(name: 'attack' | 'mark'): { each: Case; off: number }[] {
  const found: { each: Case; off: number }[] = []
  for (const value of new Set(home.map((each) => each[name]))) {
    const [own, others] = [home.filter((each) => each[name] === value), home.filter((each) => each[name] !== value)]
    const by = heldBack || others.length === 0 ? fitted : fit(others)
    found.push(...own.map((each) => ({ each, off: predicted(each.features, by) - each.fidelity })))
    report({ measure: heldBack ? name : `${name} left out`, [name]: value, ...errorsOf(own, by) })
  }
  const sizes = found.map(({ off }) => Math.abs(off)).sort((x, y) => x - y)
  const mean = sizes.reduce((x, y) => x + y, 0) / sizes.length
  const p90 = sizes[Math.floor(0.9 * sizes.length)] ?? 0
  report({
    measure: heldBack ? 'held back, all' : `${name} left out, all`,
    mean: mean.toFixed(4),
    p90: p90.toFixed(4),
    count: sizes.length,
  })
  return found
}

/** By kind, what one of twenty estimates is too high by, and what one is too low by. */
function bandsOf(found: readonly { each: Case; off: number }[]): Record<Kind, { below: number; above: number }> {
  const of = (kind: Kind) => {
    const off = found
      .filter(({ each }) => kindOf(each.composition) === kind)
      .map((one) => one.off)
      .sort((x, y) => x - y)
    const at = (share: number) => Number((off[Math.floor(share * off.length)] ?? 0).toFixed(3))
    return { below: Math.max(0, at(0.95)), above: Math.max(0, -at(0.05)) }
  }
  return { few: of('few'), many: of('many'), swept: of('swept'), odd: of('odd') }
}

const found = [...leftOut('attack'), ...leftOut('mark')]
const bands = options.write ? bandsOf(found) : errors
report({ measure: 'second model', mark: foreign, ...errorsOf(second, fitted) })
for (const attack of new Set(second.map((each) => each.attack)))
  report({
    measure: 'second model',
    attack,
    ...errorsOf(
      second.filter((each) => each.attack === attack),
      fitted,
    ),
  })
for (const [name, cases] of [
  ['measured', home],
  ['second', second],
] as const) {
  report({
    measure: 'thieves whom nobody else sees',
    models: name,
    ...errorsOf(
      cases.filter(({ attack }) => unseen.test(attack)),
      fitted,
    ),
  })
  report({ measure: 'students without shifted copies', models: name, ...errorsOf(cases, fitted, (each) => each.plain) })
}
report({
  measure: 'classes guessed',
  ...errorsOf(
    home.map((each) => ({ ...each, features: each.guessed })),
    fitted,
  ),
})
report({
  measure: 'classes guessed, second model',
  ...errorsOf(
    second.map((each) => ({ ...each, features: each.guessed })),
    fitted,
  ),
})
if (!options.write && second.length > 0) {
  const inside = second.filter(({ composition, fidelity }) => {
    const { low, high } = estimate(composition)
    return low <= fidelity && fidelity <= high
  })
  report({ measure: 'second model within the band', share: (inside.length / second.length).toFixed(3), count: second.length })
}
for (const form of forms)
  report({
    measure: 'form',
    form,
    ...errorsOf(
      home.filter((each) => each.form === form),
      fitted,
    ),
  })
const worst = all
  .map((each) => ({ ...each, estimate: predicted(each.features, fitted) }))
  .sort((a, b) => Math.abs(b.estimate - b.fidelity) - Math.abs(a.estimate - a.fidelity))
for (const { mark, attack, form, queries, estimate, fidelity } of worst
  .filter((each, i) => worst.findIndex((other) => other.mark === each.mark && other.attack === each.attack) === i)
  .slice(0, 5))
  report({ measure: 'worst', mark, attack, form, queries, estimate: estimate.toFixed(3), fidelity })

if (options.write) {
  const list = (values: readonly number[]) => values.map((value) => Number(value.toPrecision(5))).join(', ')
  const bandText = ([kind, { below, above }]: [string, { below: number; above: number }]) =>
    `  ${kind}: { below: ${below}, above: ${above} },`
  const text = [
    '// Made by `node test/lab/leakage.ts --write`: do not edit.',
    '',
    '/** Of the logarithms of the odds, by feature of estimate.ts. */',
    'export const coefficients: { readonly ordinary: readonly number[]; readonly odd: readonly number[] } = {',
    `  ordinary: [${list(fitted.ordinary)}],`,
    `  odd: [${list(fitted.odd)}],`,
    '}',
    '',
    '/** Of estimates of what was not fitted on, one of twenty is this much too high (`below`), and one this much too low. */',
    "export const errors: { readonly [kind in 'few' | 'many' | 'swept' | 'odd']: { readonly below: number; readonly above: number } } = {",
    ...Object.entries(bands).map(bandText),
    '}',
    '',
  ].join('\n')
  writeFileSync(fileURLToPath(new URL('../../detectors/model-leakage/coefficients.ts', import.meta.url)), text)
}
if (options.json) console.log(JSON.stringify(rows))
