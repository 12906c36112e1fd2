import { parseArgs } from 'node:util'
import { count, fromCommandLine } from '../command-line.ts'
import { type FaultVerdict, faultRun } from './run.ts'

const usage = `npm run test:faults -- [options]

Breaks a whole deployment over a real three-broker Kafka cluster, seeded, and says what it cost. Status 1 where it cost anything.
Needs Java and Maven, or Docker.

  --minutes N    of each run (default 20)
  --seed N       which faults, and when (default 1)
  --seeds N      so many runs, with seeds from that one on (default 1)
  --flows N      flows a second (default 1500)
  --requests N   requests a second, of two events each (default 250)
  --json         the verdicts alone`

const flags = fromCommandLine(usage, () => {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '20' },
      seed: { type: 'string', default: '1' },
      seeds: { type: 'string', default: '1' },
      flows: { type: 'string', default: '1500' },
      requests: { type: 'string', default: '250' },
      json: { type: 'boolean', default: false },
    },
  })
  return {
    minutes: count('minutes', values.minutes, 1),
    seed: count('seed', values.seed, 0),
    seeds: count('seeds', values.seeds, 1),
    flows: count('flows', values.flows, 0),
    requests: count('requests', values.requests, 0),
    json: values.json,
  }
})
// What was started is ended by listeners of `exit`, which a signal alone does not reach.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
process.setMaxListeners(100)
const verdicts: FaultVerdict[] = []
for (let { seed } = flags; seed < flags.seed + flags.seeds; seed++) {
  const began = Date.now()
  const say = (line: string) => {
    if (!flags.json) console.log(`[${((Date.now() - began) / 1_000).toFixed(1).padStart(7)} s] ${line}`)
  }
  say(`seed ${seed}, ${flags.minutes} minutes`)
  const verdict = await faultRun({
    minutes: flags.minutes,
    seed,
    flowsPerSecond: flags.flows,
    requestsPerSecond: flags.requests,
    say,
  })
  verdicts.push(verdict)
  console.log(JSON.stringify({ ...verdict, verdict: passed(verdict) ? 'passed' : 'FAILED' }))
}
const total = (of: (verdict: FaultVerdict) => number) => verdicts.reduce((sum, verdict) => sum + of(verdict), 0)
console.log(
  JSON.stringify({
    seeds: verdicts.length,
    events: total((v) => v.events),
    faults: total((v) => v.faults),
    lost: total((v) => v.lost),
    duplicated: total((v) => v.duplicated),
    findingsDiffering: total((v) => v.findingsDiffering),
    actionsRepeated: total((v) => v.actionsRepeated),
    leasesWrong: total((v) => v.leasesWrong),
    gapsWrong: total((v) => v.gapsWrong),
  }),
)
process.exit(verdicts.every(passed) ? 0 : 1)

function passed({
  events,
  faults,
  findings,
  lost,
  duplicated,
  findingsDiffering,
  actionsRepeated,
  leasesWrong,
  gapsWrong,
}: FaultVerdict): boolean {
  const proved = events > 0 && faults > 0 && findings > 0
  return proved && lost + duplicated + findingsDiffering + actionsRepeated + leasesWrong + gapsWrong === 0
}
