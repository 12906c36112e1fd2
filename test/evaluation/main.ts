// npm run evaluate: attacks and ordinary clients against the detectors, in memory or (--end-to-end) against a running node.

import { writeFileSync } from 'node:fs'
import { fromCommandLine } from '../command-line.ts'
import { evaluateBenign } from './benign-suite.ts'
import { evaluateNode } from './end-to-end.ts'
import { evaluateExtraction } from './extraction-suite.ts'
import { evaluatePrompts } from './prompt-suite.ts'
import { evaluateQueries } from './query-suite.ts'
import { reportPage } from './report.ts'
import type { SuiteResult } from './results.ts'
import { openScene, type Scene } from './scene.ts'
import { readSettings, type Settings, type SuiteName, usage } from './settings.ts'
import { textTable } from './text-table.ts'

type Progress = (line: string) => void

const suites: Readonly<Record<SuiteName, (scene: Scene, settings: Settings, progress: Progress) => Promise<SuiteResult | null>>> = {
  query: evaluateQueries,
  extraction: evaluateExtraction,
  prompts: evaluatePrompts,
  benign: evaluateBenign,
}

const progress: Progress = (line) => process.stderr.write(`${line}\n`)
const settings = fromCommandLine(usage, () => readSettings(process.argv.slice(2)))
const began = performance.now()
const { split, delayMs } = settings
const scene = await openScene({ split, delayMs })
const results: SuiteResult[] = []
try {
  if (settings.endToEnd) results.push(await evaluateNode(scene, settings, progress))
  else
    for (const name of settings.suites) {
      const result = await suites[name](scene, settings, progress)
      if (result !== null) results.push(result)
    }
} finally {
  await scene.close()
}
// A detector that threw forgot what it knew: whatever follows in that run says nothing.
const faults = new Set(results.flatMap(({ raw }) => faultsIn(raw)))
for (const fault of faults) progress(`FAULT · ${fault}`)
if (faults.size > 0) process.exitCode = 1
const seconds = Math.round((performance.now() - began) / 1_000)
const about = { split, seeds: split === 'held-back' ? '9,000,001 and above' : '1 and above', delayMs, runs: settings.runs, seconds }
if (results.length > 0 && results.every(({ tables }) => tables.every(({ rows }) => rows.length === 0))) {
  progress('nothing was measured: no attack or client of these suites has a name that contains what --only and --form say')
  process.exitCode = 2
}
if (settings.json) process.stdout.write(`${JSON.stringify({ ...about, results })}\n`)
else for (const { tables } of results) for (const table of tables) process.stdout.write(textTable(table))

if (settings.report !== null) writeFileSync(settings.report, reportPage(about, results))

function faultsIn(raw: unknown): readonly string[] {
  if (typeof raw !== 'object' || raw === null) return []
  return Object.entries(raw).flatMap(([name, value]) => (name === 'faults' && Array.isArray(value) ? value.map(String) : faultsIn(value)))
}
