import type { FindingDraft } from '../../detectors/contract.ts'
import { loadMnist, type Mnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Oracle } from '../attacks/oracle.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import { noisy } from '../benign/image.ts'
import { Driver } from './driver.ts'
import { labOptions } from './options.ts'
import { searchSuites } from './random-search.ts'
import { type AttackSuite, attackSuites } from './suites.ts'
import { unpairedSuites } from './unpaired-searches.ts'
import { openVictim, type Victim } from './victim.ts'

const about = `Measures near-duplicate-probing: attacks and ordinary clients against model, fingerprinter and detector in memory. Development uses the
first half of the test images, held-back the second.`

const options = labOptions(about, {
  split: { type: 'string', default: 'development' },
  seeds: { type: 'string', default: '20' },
  clients: { type: 'string', default: '50' },
  budget: { type: 'string', default: '300' },
  accounts: { type: 'string', default: '1' },
  mix: { type: 'string', default: '0' },
  noise: { type: 'string', default: '0' },
  only: { type: 'string' },
  json: { type: 'boolean', default: false },
  benign: { type: 'boolean', default: true },
  attacks: { type: 'boolean', default: true },
})
const number = (name: 'seeds' | 'clients' | 'budget' | 'accounts' | 'mix' | 'noise') => Number(options[name])
const held = options.split === 'held-back'
const test = loadMnist('test')
const half = test.count / 2
const victim = await openVictim('1')
const background = await prefilled(victim)
const leastPath = 5
const rows: Record<string, unknown>[] = []

if (options.attacks)
  for (const suite of [...attackSuites, ...searchSuites, ...unpairedSuites]) if (wanted(suite.name)) report(await attackRow(suite))
if (options.benign) for (const kind of benignKinds) if (wanted(kind.name)) report(await benignRow(kind))
if (options.json) process.stdout.write(`${JSON.stringify(rows)}\n`)
await victim.close()

function wanted(name: string): boolean {
  return options.only === undefined || name.includes(options.only)
}

function report(row: Record<string, unknown>): void {
  rows.push(row)
  const line = Object.entries(row).map(
    ([key, value]) => `${key} ${typeof value === 'number' ? Math.round(value * 1000) / 1000 : JSON.stringify(value)}`,
  )
  process.stderr.write(`${line.join('  ')}\n`)
}

function image(index: number, set: Mnist = test): Float32Array {
  return set.images.subarray(index * pixels, (index + 1) * pixels)
}

/** A natural image of this split. */
function drawIndex(random: Random): number {
  return random.below(half) + (held ? half : 0)
}

/** Ordinary traffic before anything else, so that a cluster has to form among strangers. */
async function prefilled(from: Victim): Promise<string> {
  const driver = new Driver()
  const random = seeded(99)
  for (let i = 0; i < 8; i++) {
    const batch = Array.from({ length: 250 }, () => image(drawIndex(random)))
    for (const [k, { fingerprint }] of (await from.observe(batch)).entries()) driver.feed(`ordinary-${k % 20}`, fingerprint)
  }
  return driver.snapshot()
}

async function attackRow(suite: AttackSuite): Promise<Record<string, unknown>> {
  const runs = []
  for (let seed = 0; seed < number('seeds'); seed++) runs.push(await attackRun(suite, seeded(seed + (held ? 4_000_000 : 0))))
  // Who succeeds within five queries has searched nothing: there is no path to see.
  const begun = runs.filter((run) => run.caught !== null || run.queries > leastPath)
  const caught = begun.filter((run) => run.caught !== null)
  const queries = begun.map((run) => run.caught ?? Number.POSITIVE_INFINITY).sort((a, b) => a - b)
  return {
    attack: suite.name,
    runs: runs.length,
    begun: begun.length,
    detected: caught.length / begun.length,
    median: queries[Math.floor(queries.length / 2)],
    p95: queries[Math.ceil(queries.length * 0.95) - 1],
    most: queries.at(-1),
    successBefore: runs.filter((run) => run.success).length / runs.length,
    // Over before a finding, after so few queries: nothing to see yet, or an attack that could not begin.
    overBefore: runs.flatMap((run) => (run.caught === null && run.queries < number('budget') ? [run.queries] : [])),
    by: tally(caught.map((run) => run.family)),
  }
}

function tenths(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).flatMap(([name, value]) => (value === 0 ? [] : [[name, Math.round(value * 10) / 10]])))
}

function tally(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

/** One attack until its first finding or the budget; the attacker's principals take turns. */
async function attackRun(suite: AttackSuite, random: Random) {
  const driver = new Driver().restore(background)
  const target = await rightlyRead(random)
  const other = await otherClass(random, target.label)
  let queries = 0
  let caught: number | null = null
  let family = ''
  const feed = async (principal: string, shown: Float32Array) => {
    const [seen] = await victim.observe([shown])
    if (!seen) throw new Error('the victim gave no answer')
    const found = driver.feed(principal, seen.fingerprint).find((each) => each.principals.some((name) => name.startsWith('attacker')))
    if (found && caught === null) {
      caught = queries
      family = leadingOf(found)
    }
    return seen
  }
  const oracle: Oracle = {
    query: async (asked) => {
      if (caught !== null) return { refused: true, status: 429, retryAfterMs: null }
      queries++
      const principal = `attacker-${queries % number('accounts')}`
      for (let k = 0; k < number('mix'); k++) await feed(principal, image(drawIndex(random)))
      const { probabilities, fingerprint } = await feed(principal, number('noise') > 0 ? noisy(asked, number('noise'), random) : asked)
      return { refused: false, label: fingerprint.output.label, probabilities }
    },
  }
  const result = await suite.run(oracle, { target, other, random, budget: number('budget') })
  return { caught, queries, family, success: result.adversarial !== null && result.distance < boundOf(suite) }
}

/** L2, or none where the attack keeps to a bound of its own in every pixel. */
function boundOf({ name }: AttackSuite): number {
  return /square|search/.test(name) ? Number.POSITIVE_INFINITY : 3
}

function leadingOf({ evidence }: FindingDraft): string {
  const names = ['bisection', 'antithetic', 'sparse', 'walk', 'search', 'steered', 'creep', 'boundary', 'strange']
  return names.reduce((best, each) => (Number(evidence[each]) > Number(evidence[best]) ? each : best))
}

async function rightlyRead(random: Random) {
  for (;;) {
    const at = drawIndex(random)
    const [seen] = await victim.observe([image(at)])
    const label = test.labels[at] ?? 0
    if (seen?.fingerprint.output.label === label) return { source: image(at), label }
  }
}

async function otherClass(random: Random, label: number): Promise<Float32Array> {
  for (;;) {
    const at = drawIndex(random)
    const [seen] = await victim.observe([image(at)])
    if (seen && seen.fingerprint.output.label !== label) return image(at)
  }
}

async function benignRow(kind: (typeof benignKinds)[number]): Promise<Record<string, unknown>> {
  let alarms = 0
  let requests = 0
  const why: string[] = []
  let highest: ReturnType<Driver['leading']> = { score: 0, evidence: {} }
  for (let client = 0; client < number('clients'); client++) {
    const driver = new Driver().restore(background)
    const random = seeded(5_000 + client + (held ? 4_000_000 : 0))
    const images = kind.requests(() => image(drawIndex(random)), random)
    requests += images.length
    const found: FindingDraft[] = []
    for (let at = 0; at < images.length; at += 100)
      for (const { fingerprint } of await victim.observe(images.slice(at, at + 100))) {
        found.push(...driver.feed('client', fingerprint))
        const leading = driver.leading()
        if (leading.score > highest.score) highest = leading
      }
    if (found.length > 0) alarms++
    for (const each of found.slice(0, 1)) why.push(leadingOf(each))
  }
  return {
    benign: kind.name,
    clients: number('clients'),
    alarms,
    requests,
    highest: highest.score,
    evidence: tenths(highest.evidence),
    by: tally(why),
  }
}
