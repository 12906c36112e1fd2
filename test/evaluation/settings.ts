import { basename, dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { count, folder, oneOf } from '../command-line.ts'
import { type Split, splits } from './scene.ts'

export const suiteNames = ['query', 'extraction', 'prompts', 'benign'] as const
export type SuiteName = (typeof suiteNames)[number]

/** What the command line asks for. */
export interface Settings {
  readonly suites: readonly SuiteName[]
  /** The folder of recordings; null without. */
  readonly data: string | null
  readonly split: Split
  /** Runs of each attack, and clients of each kind. */
  readonly runs: number
  readonly budget: number
  /** Queries of a theft. */
  readonly queries: number
  readonly delayMs: number
  /** Attacks, forms and kinds whose names contain it. */
  readonly only: string
  /** Forms whose names contain it. */
  readonly form: string
  readonly json: boolean
  readonly report: string | null
  readonly endToEnd: boolean
  readonly benignRequests: number
}

export const usage = `npm run evaluate -- [options]

  --suite NAME          query, extraction, prompts or benign, several with commas; all of them by default
  --data FOLDER         recordings of real traffic
  --split NAME          development, or held-back (default)
  --runs N              of each attack and client (default 10)
  --budget N            queries of an attack on single inputs (default 100)
  --queries N           of a model theft (default 5000)
  --delay MS            virtual time from a finding to its enforcement (default 5)
  --only TEXT           attacks and kinds of client whose names contain it
  --form TEXT           forms of an attack whose names contain it
  --benign-requests N   generated ordinary requests in suite benign (default 20000)
  --end-to-end          against a running node, over HTTP
  --json                one object on standard output
  --report FILE         an HTML report with curves`

/** @throws TypeError or RangeError, saying what is wrong with the command line */
export function readSettings(args: readonly string[]): Settings {
  const { values } = parseArgs({
    args: [...args],
    options: {
      suite: { type: 'string' },
      data: { type: 'string' },
      split: { type: 'string', default: 'held-back' },
      runs: { type: 'string', default: '10' },
      budget: { type: 'string', default: '100' },
      queries: { type: 'string', default: '5000' },
      delay: { type: 'string', default: '5' },
      only: { type: 'string', default: '' },
      form: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      report: { type: 'string' },
      'end-to-end': { type: 'boolean', default: false },
      'benign-requests': { type: 'string', default: '20000' },
    },
  })
  return {
    suites: values.suite === undefined ? suiteNames : values.suite.split(',').map((name) => oneOf('suite', name, suiteNames)),
    data: values.data === undefined ? null : folder('data', values.data),
    split: oneOf('split', values.split, splits),
    runs: count('runs', values.runs, 1),
    budget: count('budget', values.budget, 1),
    queries: count('queries', values.queries, 10),
    delayMs: count('delay', values.delay, 0),
    only: values.only,
    form: values.form,
    json: values.json,
    report: values.report === undefined ? null : join(folder('report', dirname(values.report)), basename(values.report)),
    endToEnd: values['end-to-end'],
    benignRequests: count('benign-requests', values['benign-requests'], 0),
  }
}
