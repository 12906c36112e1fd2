import { adaptive, type Form, plain } from '../attacks/forms.ts'
import { httpOracle } from '../attacks/http-oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { type Instance, startInstance, temporaryDataDir } from '../end-to-end/instance.ts'
import { type EvaluatedAttack, evaluatedAttacks } from './attacks.ts'
import { goalsOf } from './goals.ts'
import { exactUpper, quantileOf } from './intervals.ts'
import { attackNode, type NodeRun } from './node-run.ts'
import type { Row, SuiteResult } from './results.ts'
import { type Scene, seedOf } from './scene.ts'
import type { Settings } from './settings.ts'
import { pair } from './text-table.ts'

interface Measured {
  readonly attack: string
  readonly form: string
  readonly runs: readonly NodeRun[]
}

const readers = 4
const forms: readonly Form[] = [plain, adaptive({ keys: 10 })]

/**
 * Attacks on a running node with everything it comes with, over HTTP, beside honest clients. Each attack and form has a node of its
 * own: around what one went for, the next would find itself contained already.
 */
export async function evaluateNode(scene: Scene, settings: Settings, progress: (line: string) => void): Promise<SuiteResult> {
  const measured: Measured[] = []
  const reading: Reading[] = []
  for (const attack of evaluatedAttacks) {
    for (const form of forms) {
      if (!attack.name.includes(settings.only) || !form.name.includes(settings.form)) continue
      const { runs, readings } = await onNode(scene, settings, { attack, form })
      const one = { attack: attack.name, form: form.name, runs }
      measured.push(one)
      reading.push(...readings)
      progress(`end to end · ${rowOf(one).cells.join(' · ')}`)
    }
  }
  return resultOf(measured, reading, settings)
}

interface Attacked {
  readonly attack: EvaluatedAttack
  readonly form: Form
}

async function onNode(scene: Scene, { split, runs: count, budget }: Settings, { attack, form }: Attacked) {
  const cleanups: (() => Promise<void>)[] = []
  const instance = await startInstance({ dataDir: temporaryDataDir({ after: (fn) => cleanups.push(fn) }) })
  const ending = new AbortController()
  const reading = Array.from({ length: readers }, (_, i) =>
    read(instance, scene, { name: `reader-${i}`, random: seeded(seedOf(split, 200_000 + i)), signal: ending.signal }),
  )
  try {
    const runs: NodeRun[] = []
    for (let n = 0; n < count; n++)
      runs.push(await attackNode(scene, instance, { attack, form, seed: seedOf(split, n), budget, name: `attacker-${n}` }))
    ending.abort()
    return { runs, readings: await Promise.all(reading) }
  } finally {
    ending.abort()
    // What went wrong first is what is told.
    await Promise.allSettled(reading)
    await instance.stop()
    for (const cleanup of cleanups) await cleanup()
  }
}

interface Reading {
  readonly asked: number
  /** Statuses of what was refused, by the number of the request. */
  readonly refused: readonly { readonly number: number; readonly status: number }[]
}

/** An honest client, some ten requests a second until the end. */
async function read(
  instance: Instance,
  { images }: Scene,
  { name, random, signal }: { name: string; random: Random; signal: AbortSignal },
): Promise<Reading> {
  const { key } = await instance.createKey(name)
  const oracle = httpOracle({ url: instance.inference, model: 'digits', key: () => key })
  const refused: { number: number; status: number }[] = []
  let asked = 0
  while (!signal.aborted) {
    const answer = await oracle.query(random.pick(images))
    asked++
    if (answer.refused) refused.push({ number: asked, status: answer.status })
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  return { asked, refused }
}

function resultOf(measured: readonly Measured[], reading: readonly Reading[], settings: Settings): SuiteResult {
  const asked = reading.reduce((sum, one) => sum + one.asked, 0)
  const refusals = reading.flatMap((one) => one.refused)
  const refused = refusals.length
  const attacks = {
    title: 'A running node, over HTTP',
    note: `${settings.runs} runs each, at most ${settings.budget} queries. Queries answered until the first that was refused or told less: median / p95, – where they lie among the runs never contained. The adaptive form cannot wait here: its pauses are left out.`,
    columns: [
      'attack',
      'form',
      'contained',
      'queries to containment',
      'to refusal',
      'success before containment',
      'success at all',
      'ms a query',
    ],
    rows: measured.map(rowOf),
  }
  const honest = {
    title: 'Honest clients beside the attacks',
    note: 'The same nodes at the same time. Around an input that an attack goes for nobody gets more than an answer a minute (429): the images are drawn from those that attacks begin with.',
    columns: ['clients of a node', 'requests', 'refused', 'with', 'share at most'],
    rows: [
      {
        cells: [
          readers,
          asked,
          refused,
          [...new Set(refusals.map(({ status }) => status))].join(' '),
          `${Number((exactUpper(refused, asked) * 100).toPrecision(2))} %`,
        ],
        checks: [{ goal: 'none refused', met: refused === 0 }],
      },
    ],
  }
  return { suite: 'end-to-end', tables: [attacks, honest], curves: [], raw: { measured, reading } }
}

function rowOf({ attack, form, runs }: Measured): Row {
  const count = runs.length
  const contained = runs.flatMap((run) => run.contained ?? [])
  const before = runs.filter((run) => run.succeeded !== null && (run.contained === null || run.succeeded <= run.contained)).length
  const atAll = runs.filter(({ succeeded }) => succeeded !== null).length
  const queries = runs.reduce((sum, run) => sum + run.queries, 0)
  const figures = {
    median: quantileOf(contained, count, 0.5),
    p95: quantileOf(contained, count, 0.95),
    detected: contained.length / count,
    before: before / count,
    atAll: atAll / count,
  }
  return {
    cells: [
      attack,
      form,
      `${contained.length}/${count}`,
      pair(runs.map((run) => run.contained)),
      pair(runs.map(({ refused }) => refused)),
      `${before}/${count}`,
      `${atAll}/${count}`,
      Math.round((runs.reduce((sum, { elapsedMs }) => sum + elapsedMs, 0) / Math.max(1, queries)) * 10) / 10,
    ],
    checks: goalsOf({ attack, form, ...figures }),
  }
}
