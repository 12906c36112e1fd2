import { generationAbuse } from '../../detectors/generation-abuse/generation-abuse.ts'
import { seeded } from '../attacks/random.ts'
import { attacks } from './generations-attacks.ts'
import { benign } from './generations-benign.ts'
import { eventsOf, type Story } from './generations-events.ts'
import { labOptions } from './options.ts'

const about = 'Measures generation-abuse on made-up clients: attacks until they are acted on, and honest ones that must be left alone.'

const options = labOptions(about, {
  // Nothing is recorded of generations; taken so that every lab script is called alike.
  data: { type: 'string' },
  split: { type: 'string', default: 'development' },
  runs: { type: 'string', default: '100' },
  clients: { type: 'string', default: '100' },
  only: { type: 'string', default: '' },
  json: { type: 'boolean', default: false },
})
const firstSeed = options.split === 'held-back' ? 7_000_001 : 1
const logic = generationAbuse.start(generationAbuse.params.parse({}))
const rows: Record<string, string | number>[] = []

interface Outcome {
  /** Requests until a finding of at least 0, 0.5, 0.7 and 0.9; undefined where there was none. */
  readonly at: readonly (number | undefined)[]
  readonly patterns: ReadonlySet<string>
  readonly bytes: number
  readonly events: number
  readonly micros: number
}

function played(story: Story, seed: number, most: number): Outcome {
  const events = []
  for (const event of eventsOf(story.asks(seeded(seed)))) if (events.push(event) >= most) break
  const state = logic.initial(events[0]?.time ?? 0)
  const at: (number | undefined)[] = [undefined, undefined, undefined, undefined]
  const patterns = new Set<string>()
  const before = process.cpuUsage()
  events.forEach((event, n) => {
    for (const { confidence, evidence } of logic.onEvent(state, event)?.findings ?? [])
      for (const [level, least] of [0, 0.5, 0.7, 0.9].entries())
        if (confidence >= least) {
          at[level] ??= n + 1
          patterns.add(`${String(evidence['pattern'])} ${confidence}`)
        }
  })
  const { user, system } = process.cpuUsage(before)
  return { at, patterns, bytes: JSON.stringify(state).length, events: events.length, micros: user + system }
}

function summary(outcomes: readonly Outcome[], level: number): string {
  const found = outcomes.flatMap(({ at }) => at[level] ?? []).sort((a, b) => a - b)
  const pick = (share: number) => found[Math.min(found.length - 1, Math.floor(share * found.length))] ?? '–'
  return `${found.length}/${outcomes.length}: ${pick(0.5)} / ${pick(0.95)}`
}

function report(stories: readonly Story[], count: number, most: number): void {
  for (const story of stories) {
    if (!story.name.includes(options.only)) continue
    const outcomes = Array.from({ length: count }, (_, n) => played(story, firstSeed + n, most))
    const [events, micros] = [outcomes.reduce((sum, o) => sum + o.events, 0), outcomes.reduce((sum, o) => sum + o.micros, 0)]
    const row = {
      story: story.name,
      any: summary(outcomes, 0),
      acted: summary(outcomes, 1),
      likely: summary(outcomes, 2),
      certain: summary(outcomes, 3),
      patterns: [...new Set(outcomes.flatMap(({ patterns }) => [...patterns]))].join(', '),
      'state bytes': Math.max(...outcomes.map(({ bytes }) => bytes)),
      events,
      'µs an event': (micros / events).toFixed(2),
    }
    rows.push(row)
    const line = Object.entries(row).map(([name, value]) => `${name} ${value}`)
    if (options.json) console.error(line.join(' · '))
    else console.log(line.join(' · '))
  }
}

report(attacks, Number(options.runs), 600)
report(benign, Number(options.clients), 1_000)
if (options.json) console.log(JSON.stringify(rows, null, 2))
