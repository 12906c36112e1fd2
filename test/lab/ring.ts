import { extractionRing } from '../../detectors/extraction-ring/extraction-ring.ts'
import type { Fingerprint } from '../../inference/port.ts'
import type { DataOf } from '../../schemas/index.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import { observation } from '../contracts/observations.ts'
import { labOptions } from './options.ts'
import { openRecordings } from './ring-recordings.ts'

const about = 'Measures extraction-ring: attacks split over many accounts among ordinary ones; and honest populations of every kind.'

const options = labOptions(about, {
  // Recordings of others hold no extraction; taken so that every lab script is called alike.
  data: { type: 'string' },
  split: { type: 'string', default: 'held-back' },
  runs: { type: 'string', default: '5' },
  only: { type: 'string', default: '' },
  clients: { type: 'string', default: '8' },
  recordings: { type: 'string', default: '/tmp/cordon-ring' },
  json: { type: 'boolean', default: false },
})
const heldBack = options.split !== 'development'
const firstSeed = heldBack ? 7_000_001 : 1
const runs = Number(options.runs)
const start = Date.UTC(2026, 0, 5)
const recordings = await openRecordings(options.recordings, heldBack)
const { natural } = recordings
const rows: Record<string, string | number>[] = []

function report(row: Record<string, string | number>): void {
  rows.push(row)
  const line = Object.entries(row)
    .map(([key, value]) => `${key} ${value}`)
    .join(' · ')
  if (options.json) console.error(line)
  else console.log(line)
}

/** One account: its queries, what shows of its caller, and whether it is a thief's. */
interface Account {
  readonly name: string
  readonly thief: boolean
  readonly queries: readonly Fingerprint[]
  readonly caller: Partial<DataOf<'fingerprint'>>
}

interface Outcome {
  /** Answers that thieves' accounts had before they were named, and how many accounts never were. */
  readonly leaked: number
  readonly unnamed: number
  readonly falselyNamed: number
  readonly first: number
  readonly microseconds: number
  readonly bytes: number
}

/** Feeds the accounts' queries in this order. */
function played(accounts: readonly Account[], order: readonly number[], pace: number): Outcome {
  const logic = extractionRing.start(extractionRing.params.parse({}))
  let state = logic.initial(start)
  const next = accounts.map(() => 0)
  const named = new Set<string>()
  let [n, leaked, spent, first] = [0, 0, 0, 0]
  for (const a of order) {
    const account = accounts[a]
    const fingerprint = account?.queries[next[a] ?? 0]
    if (account === undefined || fingerprint === undefined) continue
    next[a] = (next[a] ?? 0) + 1
    if (account.thief && !named.has(account.name)) leaked++
    const event = observation('fingerprint', n++, start + n * pace, { ...account.caller, ...fingerprint, principal: account.name })
    const before = process.cpuUsage()
    const step = logic.onEvent(state, event)
    const after = process.cpuUsage(before)
    spent += after.user + after.system
    if (step?.state) state = step.state
    for (const finding of step?.findings ?? [])
      for (const principal of finding.principals) {
        first ||= leaked
        named.add(principal)
      }
  }
  const unnamed = accounts.filter(({ thief, name }) => thief && !named.has(name)).length
  const falselyNamed = accounts.filter(({ thief, name }) => !thief && named.has(name)).length
  return { leaked, unnamed, falselyNamed, first, microseconds: spent / Math.max(1, n), bytes: JSON.stringify(state).length }
}

type Split = 'in turn' | 'at random' | 'one after the other'

/** Accounts that share one attack's queries. */
function thieves(queries: readonly Fingerprint[], count: number, each: number, traits: boolean, random: Random): Account[] {
  const agent = random.pick(['c', 'd', 'e'])
  return Array.from({ length: count }, (_, i) => ({
    name: `thief-${i}`,
    thief: true,
    queries: queries.filter((_, q) => q % count === i).slice(0, each),
    caller: traits
      ? { client: `t${i % 20}`, agent: `rare-${agent}`, keyCreatedAt: start - 3_600_000 + i * 20_000 }
      : { client: '', agent: '', keyCreatedAt: null },
  }))
}

/** Honest accounts of one to 60 ordinary queries; offices of fifty share an address, everybody one of four agents. */
function honest(count: number, random: Random): Account[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `honest-${i}`,
    thief: false,
    queries: Array.from({ length: 5 + random.below(55) }, () => random.pick(natural)),
    caller: { client: `office-${Math.floor(i / 50)}`, agent: `a${i % 4}`, keyCreatedAt: start - random.below(90 * 24) * 3_600_000 },
  }))
}

/** Whose turn it is, again and again: thieves in their split, honest ones at random, mixed at random in proportion to what they have to say. */
function turns(accounts: readonly Account[], split: Split, random: Random): number[] {
  const theirs: number[] = []
  const own = accounts.flatMap(({ thief }, i) => (thief ? [i] : []))
  const most = Math.max(0, ...own.map((i) => accounts[i]?.queries.length ?? 0))
  if (split === 'one after the other') for (const i of own) for (let q = 0; q < (accounts[i]?.queries.length ?? 0); q++) theirs.push(i)
  else for (let q = 0; q < most; q++) theirs.push(...(split === 'in turn' ? own : own.map(() => random.pick(own))))
  const others = shuffled(
    accounts.flatMap(({ thief, queries }, i) => (thief ? [] : queries.map(() => i))),
    random,
  )
  const order: number[] = []
  let [t, o] = [0, 0]
  while (t < theirs.length || o < others.length) {
    const fromThieves = random.next() * (theirs.length - t + others.length - o) < theirs.length - t
    order.push((fromThieves ? theirs[t++] : others[o++]) as number)
  }
  return order
}

function shuffled<T>(list: T[], random: Random): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = random.below(i + 1)
    const kept = list[i] as T
    list[i] = list[j] as T
    list[j] = kept
  }
  return list
}

const attacks: readonly (readonly [string, number])[] = [
  ['uniform noise', 600],
  ['crops', 600],
  ['textures', 600],
  ['inverted digits', 800],
  ['shapes', 1_000],
  ['letters', 1_500],
  ['active learning on letters', 1_500],
  ['Jacobian augmentation', 2_500],
  ['augmented digits', 1_500],
  ['grid sweep', 1_500],
  ['interpolation', 1_000],
]

interface Scene {
  readonly name: string
  readonly accounts: number
  readonly each: number
  readonly honest: number
  readonly split: Split
  readonly traits: boolean
  /** Milliseconds between queries. */
  readonly pace: number
}

const plain: Scene = { name: 'alone', accounts: 100, each: 50, honest: 0, split: 'in turn', traits: false, pace: 1_000 }
const scenes: readonly Scene[] = [
  plain,
  { ...plain, name: 'alone, at random', split: 'at random' },
  { ...plain, name: 'alone, one after the other', split: 'one after the other' },
  { ...plain, name: 'among 100 honest', honest: 100, split: 'at random' },
  { ...plain, name: 'among 1,000 honest', honest: 1_000, split: 'at random' },
  { ...plain, name: 'among 1,000 honest, traits', honest: 1_000, split: 'at random', traits: true },
  { ...plain, name: '10 × 500 among 100 honest', accounts: 10, each: 500, honest: 100, split: 'at random' },
  { ...plain, name: 'over ten days among 1,000', honest: 1_000, split: 'at random', pace: 25_000 },
]

function median(values: readonly number[]): string {
  const sorted = [...values].sort((a, b) => a - b)
  return `${sorted[sorted.length >> 1]} (${sorted[0]}–${sorted.at(-1)})`
}

for (const [attack, length] of attacks) {
  if (!attack.includes(options.only)) continue
  for (const scene of scenes) {
    const outcomes: Outcome[] = []
    for (let r = 0; r < runs; r++) {
      const random = seeded(firstSeed + 100 + r)
      const queries = await recordings.attack(attack, firstSeed + (heldBack ? r % 2 : 0), length)
      // Attacks that don't learn from answers may begin anywhere in what was recorded.
      const from = attack.includes('Jacobian') || attack.includes('active') ? 0 : random.below(length)
      const rotated = [...queries.slice(from), ...queries.slice(0, from)]
      const accounts = [...thieves(rotated, scene.accounts, scene.each, scene.traits, random), ...honest(scene.honest, random)]
      outcomes.push(played(accounts, turns(accounts, scene.split, random), scene.pace))
    }
    report({
      attack,
      scene: scene.name,
      leaked: median(outcomes.map((o) => o.leaked)),
      of: Math.min(length, scene.accounts * scene.each),
      'at the first finding': median(outcomes.map((o) => o.first)),
      'never named': median(outcomes.map((o) => o.unnamed)),
      'honest named': `${outcomes.reduce((a, o) => a + o.falselyNamed, 0)} of ${outcomes.length * scene.honest}`,
      µs: median(outcomes.map((o) => Math.round(o.microseconds))),
    })
  }
}

if (options.only === '' || options.only === 'honest') {
  const random = seeded(firstSeed + 900)
  const population = (name: string, accounts: readonly Account[], split: Split = 'at random') => {
    const asThieves = split === 'at random' ? accounts : accounts.map((a) => ({ ...a, thief: true }))
    const { falselyNamed, unnamed, microseconds, bytes } = played(asThieves, turns(asThieves, split, random), 1_000)
    report({
      population: name,
      order: split,
      accounts: accounts.length,
      named: split === 'at random' ? falselyNamed : accounts.length - unnamed,
      µs: microseconds.toFixed(1),
      bytes,
    })
  }
  const made = (name: string, queries: readonly Fingerprint[]): Account => ({ name, thief: false, queries, caller: {} })
  const ordinary = Array.from({ length: 1_000 }, (_, i) =>
    made(
      `o${i}`,
      Array.from({ length: 20 + random.below(80) }, () => random.pick(natural)),
    ),
  )
  population('1,000 ordinary', ordinary)
  population('1,000 ordinary', ordinary, 'in turn')
  const byLabel = Array.from({ length: 10 }, (_, label) => natural.filter((f) => f.output.label === label))
  population(
    '1,000 of one class',
    Array.from({ length: 1_000 }, (_, i) =>
      made(
        `c${i}`,
        Array.from({ length: 50 }, () => random.pick(byLabel[i % 10] ?? [])),
      ),
    ),
    'in turn',
  )
  population(
    '20 of 20,000 queries',
    Array.from({ length: 20 }, (_, i) =>
      made(
        `l${i}`,
        Array.from({ length: 20_000 }, () => random.pick(natural)),
      ),
    ),
  )
  const odd: Account[] = []
  for (const [k, { name }] of benignKinds.entries()) {
    if (name === 'ordinary') continue
    const clients: Account[] = []
    for (let c = 0; c < Number(options.clients); c++)
      clients.push(made(`${name} ${c}`, await recordings.benign(name, firstSeed + 1_000 * (k + 1) + c)))
    population(`${name} alone`, clients, 'in turn')
    population(`${name} among 1,000 ordinary`, [...ordinary, ...clients])
    odd.push(...clients)
  }
  population('every odd kind', odd)
  population('every odd kind', odd, 'in turn')
  population('every odd kind among 1,000 ordinary', [...ordinary, ...odd])
}
await recordings.close()
if (options.json) console.log(JSON.stringify(rows, null, 2))
