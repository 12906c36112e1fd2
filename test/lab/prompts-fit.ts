import { writeFileSync } from 'node:fs'
import { featureNames, readFeatures } from '../../detectors/prompt-search/features.ts'
import { linkPrompt } from '../../detectors/prompt-search/link-prompt.ts'
import { promptSearch } from '../../detectors/prompt-search/prompt-search.ts'
import { Sketch } from '../../detectors/prompt-search/sketch.ts'
import { seeded } from '../attacks/random.ts'
import { labOptions } from './options.ts'
import { attackJobs } from './prompts-attacks.ts'
import { benignJobs } from './prompts-benign.ts'
import { jobEvents } from './prompts-events.ts'
import type { Job } from './prompts-jobs.ts'
import { detectedAt, fitWeights, type Path, peakOf, type Sequence } from './prompts-sequences.ts'
import { readTexts } from './prompts-texts.ts'

const about = `Fits the weights of prompt-search's search pattern, and says what whole families left out do to them. With --write it writes
detectors/prompt-search/weights.ts. The fit reads the development half of the texts alone; with --held-back what was left out of it is
measured on 24 jobs of the other half.`

const options = labOptions(about, {
  data: { type: 'string', default: '../shared/data' },
  runs: { type: 'string', default: '30' },
  seed: { type: 'string', default: '500000' },
  steps: { type: 'string', default: '4000' },
  folds: { type: 'string', default: '99' },
  'held-back': { type: 'boolean', default: false },
  write: { type: 'boolean', default: false },
})
const halves = [readTexts(options.data, 0), readTexts(options.data, 1)] as const
const logic = promptSearch.start(promptSearch.params.parse({}))

/** The links of one job, as the detector sees them. */
function pathOf(job: Job, seed: number, half: 0 | 1): Path {
  const state = promptSearch.state.parse(logic.initial(0))
  const sketch = new Sketch()
  const features = new Float64Array(featureNames.length)
  const path: Path = { clusters: [], asked: [], atMost: [], features: [] }
  const setting = { texts: halves[half], key: half === 0 ? 7 : 9, ordinaryAtFirst: half === 0 ? 300 : 500, accounts: 1 }
  for (const { event, asked } of jobEvents(job, seeded(seed), setting)) {
    const link = linkPrompt(state, event, sketch, 512)
    if (!link || asked === 0 || link.repeated) continue
    path.atMost.push(readFeatures(link, features))
    path.clusters.push(link.cluster.id)
    path.asked.push(asked)
    path.features.push(...features)
  }
  return path
}

/** Of tokens that are all of one length no more than a bounded part is believed, whatever the weights. */
const isSearch = (name: string) => /search|suffix|gradient|prefix|infix/.test(name) && !name.includes('equal lengths')
const sides = [
  [true, Object.entries(attackJobs).filter(([name]) => isSearch(name))],
  [false, Object.entries(benignJobs)],
] as const

/** Jobs of every kind, of one half of the texts. */
function sequencesOf(half: 0 | 1, from: number, runs: (attack: boolean) => number): Sequence[] {
  return sides.flatMap(([attack, jobs]) =>
    jobs.flatMap(([kind, job]) =>
      Array.from({ length: runs(attack) }, (_, n) => ({ kind, attack, path: pathOf(job, from + n * 101 + kind.length, half) })),
    ),
  )
}
const sequences = sequencesOf(0, Number(options.seed), (attack) => Number(options.runs) * (attack ? 1 : 3))

const steps = Number(options.steps)
const fitted = fitWeights(sequences, featureNames.length, steps)
const say = (line: string) => process.stdout.write(`${line}\n`)
say(featureNames.map((name, i) => `${name} ${fitted[i]?.toFixed(3)}`).join('\n'))

/** The honest kinds that come nearest to the threshold of 7, and when the attacks are seen. */
function nearest(): void {
  const peaks = new Map<string, number>()
  for (const { kind, attack, path } of sequences) if (!attack) peaks.set(kind, Math.max(peaks.get(kind) ?? 0, peakOf(path, fitted)))
  const sorted = [...peaks].sort((a, b) => b[1] - a[1]).slice(0, 10)
  say(sorted.map(([kind, peak]) => `honest ${kind}: ${peak.toFixed(1)}`).join('\n'))
  for (const kind of new Set(sequences.filter(({ attack }) => attack).map((each) => each.kind))) {
    const at = sequences.filter((each) => each.kind === kind).map(({ path }) => detectedAt(path, fitted) ?? 99)
    at.sort((a, b) => a - b)
    say(`attack ${kind}: ${at[at.length >>> 1]} / ${at[Math.floor(at.length * 0.95)]}`)
  }
}
nearest()

/** Kinds left out of the fit in turn, one by one unless there are fewer folds: how near the honest ones come to the threshold of 7, and when the attacks are seen. */
function leaveOut(): void {
  const kinds = [...new Set(sequences.map(({ kind }) => kind))]
  const measured = options['held-back'] ? sequencesOf(1, 1_000_001, () => 24) : sequences
  const folds = Math.min(Number(options.folds), kinds.length)
  for (let fold = 0; fold < folds; fold++) {
    const out = new Set(kinds.filter((_, i) => i % folds === fold))
    const weights = fitWeights(
      sequences.filter(({ kind }) => !out.has(kind)),
      featureNames.length,
      Math.ceil(steps / 4),
    )
    for (const kind of out)
      judge(
        kind,
        measured.filter((each) => each.kind === kind),
        weights,
      )
  }
}

function judge(kind: string, of: readonly Sequence[], weights: Float64Array): void {
  if (of[0]?.attack) {
    const at = of.map(({ path }) => detectedAt(path, weights) ?? 99).sort((a, b) => a - b)
    say(`left out: attack ${kind}: ${at.filter((each) => each < 99).length}/${of.length}, median ${at[at.length >>> 1]}`)
    return
  }
  const peaks = of.map(({ path }) => peakOf(path, weights))
  const highest = Math.max(...peaks)
  if (highest > 4)
    say(`left out: honest ${kind}: touched ${peaks.filter((peak) => peak >= 7).length}/${of.length}, highest ${highest.toFixed(1)}`)
}
leaveOut()

const source = `// Made by test/lab/prompts-fit.ts --runs ${options.runs} --seed ${options.seed} --steps ${steps} --write; do not edit.
// One weight for each of \`featureNames\`, nats, for a threshold of 7: the weights under which attacks of all families
// are seen soonest while no honest job of any kind comes nearer than four fifths of the way.
export const searchWeights: readonly number[] = [${[...fitted].map((weight) => Number(weight.toFixed(3))).join(', ')}]
`
if (options.write) writeFileSync('detectors/prompt-search/weights.ts', source)
