import { extractionSweep } from '../../detectors/extraction-sweep/extraction-sweep.ts'
import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { type ExtractionAttack, extractionAttacks } from '../attacks/extraction-attacks.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { benignKinds } from '../benign/clients.ts'
import { observation } from '../contracts/observations.ts'
import { labOptions } from './options.ts'
import { inMemory } from './stream.ts'
import { openVictim } from './victim.ts'

const about = `Measures extraction-sweep: attacks against the digits model, its fingerprints, the detector; ordinary accounts of every length; and the
clients that near-duplicate-probing must leave alone.`

const options = labOptions(about, {
  // Recordings hold no extraction; taken so that every lab script is called alike.
  data: { type: 'string' },
  split: { type: 'string', default: 'held-back' },
  runs: { type: 'string', default: '20' },
  /** Of each odd kind. */
  clients: { type: 'string', default: '100' },
  only: { type: 'string', default: '' },
  json: { type: 'boolean', default: false },
})
const heldBack = options.split !== 'development'
const firstSeed = heldBack ? 4_000_001 : 1
const runs = Number(options.runs)
/** What playbooks ask for: answers rounded a little, throttled, restricted; and anything stated at all. */
const levels = [0, 0.5, 0.7, 0.9] as const
const start = Date.UTC(2026, 0, 5)
const victim = await openVictim()
const test = loadMnist('test')
const half = test.count / 2
const image = (i: number) => test.images.subarray(i * pixels, (i + 1) * pixels)
// Attackers draw from one half of the test set's inputs, the padding and the ordinary accounts from all of the split's.
const natural = await observeAll(Array.from({ length: half }, (_, i) => image(i + (heldBack ? half : 0))))
const rows: Record<string, string | number>[] = []

function report(row: Record<string, string | number>): void {
  rows.push(row)
  const line = Object.entries(row)
    .map(([name, value]) => `${name} ${value}`)
    .join(' · ')
  // With --json standard output is the table alone; progress goes beside it.
  if (options.json) console.error(line)
  else console.log(line)
}

async function observeAll(images: readonly Float32Array[]): Promise<Fingerprint[]> {
  const found: Fingerprint[] = []
  for (let at = 0; at < images.length; at += 250)
    for (const { fingerprint } of await victim.observe(images.slice(at, at + 250))) found.push(fingerprint)
  return found
}

function source(random: Random): () => Float32Array {
  return () => image(random.below(half) + (heldBack ? half : 0))
}

/** The attack's first queries as fingerprints. */
async function recorded(attack: ExtractionAttack, seed: number, count: number): Promise<Fingerprint[]> {
  const random = seeded(seed)
  const queries = attack.queries(source(random), random)
  const found: Fingerprint[] = []
  const images: Float32Array[] = []
  let next = queries.next()
  while (!next.done && found.length + images.length < count) {
    if (attack.seeds === 0) {
      images.push(next.value)
      next = queries.next(new Float32Array(10))
    } else {
      const [seen] = await victim.observe([next.value])
      if (seen === undefined) break
      found.push(seen.fingerprint)
      next = queries.next(seen.probabilities)
    }
  }
  return [...found, ...(await observeAll(images))]
}

interface Outcome {
  /** Queries until a statement at least as sure as each level; absent when there was none. */
  readonly at: (number | undefined)[]
  /** CPU, microseconds. */
  readonly spent: number
}

function played(stream: Iterable<Fingerprint>): Outcome {
  const see = inMemory(extractionSweep, {})
  const at: (number | undefined)[] = []
  const events = Array.from(stream, (fingerprint, n) =>
    observation('fingerprint', n, start + n * 1_000, { principal: 'p', ...fingerprint }),
  )
  const before = process.cpuUsage()
  for (const [n, event] of events.entries())
    for (const { confidence } of see(event)) for (const [l, level] of levels.entries()) if (confidence >= level) at[l] ??= n + 1
  const { user, system } = process.cpuUsage(before)
  return { at, spent: user + system }
}

function* padded(attack: readonly Fingerprint[], share: number, random: Random): Generator<Fingerprint> {
  for (const fingerprint of attack) {
    for (let i = 0; i < share; i++) yield random.pick(natural)
    yield fingerprint
  }
}

function summary(at: readonly (number | undefined)[]): string {
  const found = at.filter((n) => n !== undefined).sort((a, b) => a - b)
  if (found.length === 0) return 'never'
  const pick = (share: number) => found[Math.min(found.length - 1, Math.floor(share * found.length))]
  return `${found.length}/${at.length}: ${pick(0.5)} / ${pick(0.95)}`
}

for (const attack of extractionAttacks) {
  if (!attack.name.includes(options.only)) continue
  const outcomes: Record<string, Outcome[]> = { plain: [], '1:1': [], '1:9': [] }
  for (let r = 0; r < runs; r++) {
    const queries = await recorded(attack, firstSeed + r, 600)
    for (const [name, share] of [
      ['plain', 0],
      ['1:1', 1],
      ['1:9', 9],
    ] as const)
      outcomes[name]?.push(played(padded(queries, share, seeded(firstSeed + 70 + r))))
  }
  for (const [mix, found] of Object.entries(outcomes))
    report({
      attack: attack.name,
      mix,
      ...Object.fromEntries(levels.map((level, l) => [nameOf(level), summary(found.map((o) => o.at[l]))])),
    })
}

function nameOf(level: number): string {
  return level === 0 ? 'any' : `≥ ${level}`
}

function accounts(name: string, streams: Iterable<Iterable<Fingerprint>>): void {
  let [count, queries, spent] = [0, 0, 0]
  const touched = levels.map(() => 0)
  for (const stream of streams) {
    const list = [...stream]
    const { at, spent: time } = played(list)
    count++
    queries += list.length
    spent += time
    for (const l of levels.keys()) if (at[l] !== undefined) touched[l] = (touched[l] ?? 0) + 1
  }
  const found = Object.fromEntries(levels.map((level, l) => [nameOf(level), touched[l] ?? 0]))
  report({ accounts: name, count, queries, ...found, 'CPU µs a query': (spent / queries).toFixed(1) })
}

function* drawn(count: number, length: number, seed: number, from: readonly Fingerprint[] = natural): Generator<Generator<Fingerprint>> {
  for (let a = 0; a < count; a++) {
    const random = seeded(firstSeed + seed + a)
    yield (function* () {
      for (let i = 0; i < length; i++) yield random.pick(from)
    })()
  }
}

if (options.only === '') {
  const everything = await observeAll(Array.from({ length: test.count }, (_, i) => image(i)))
  accounts(
    '100 keys × 100 test images, each once',
    Array.from({ length: 100 }, (_, k) => everything.slice(k * 100, (k + 1) * 100)),
  )
  accounts('200 queries, drawn', drawn(2_000, 200, 10_000))
  accounts('5,000 queries, drawn', drawn(60, 5_000, 20_000))
  accounts('50,000 queries, drawn', drawn(6, 50_000, 30_000))
  accounts(
    'one label only, 2,000 queries',
    Array.from({ length: 10 }, (_, label) => natural.filter((f) => f.output.label === label)).flatMap((own, label) => [
      ...drawn(3, 2_000, 40_000 + 10 * label, own),
    ]),
  )
  for (const kind of benignKinds) {
    const clients: Fingerprint[][] = []
    for (let c = 0; c < Number(options.clients); c++) {
      const random = seeded(firstSeed + 50_000 + c)
      clients.push(await observeAll(kind.requests(source(random), random)))
    }
    accounts(kind.name, clients)
  }
}
await victim.close()
if (options.json) console.log(JSON.stringify(rows, null, 2))
