import { seeded } from '../attacks/random.ts'
import { isAlarm } from './arena.ts'
import { type ClientKind, clientKinds } from './client-kinds.ts'
import { callerOf } from './events.ts'
import { evaluateGenerated, measureCost } from './generated.ts'
import { atMost } from './goals.ts'
import { exactUpper, wilson } from './intervals.ts'
import type { Row, SuiteResult } from './results.ts'
import { openArena, ordinary, type Scene, seedOf } from './scene.ts'
import type { Settings } from './settings.ts'

const dayMs = 86_400_000
/** Clients of a kind that share an arena, so that they meet; more would only make it slower. */
const together = 10

/** What became of the honest clients of one kind. */
interface Measured {
  readonly kind: string
  readonly clients: number
  readonly requests: number
  /** Virtual time that they were there, in days, summed; a client counts for a day at least. */
  readonly days: number
  /** Clients that a finding named, that were told less, and that were refused something. */
  readonly named: number
  /** Named by nothing but notices, which nobody acts on. */
  readonly noticed: number
  readonly hardened: number
  readonly refused: number
  /** Distinct episodes about them. */
  readonly episodes: number
  readonly byDetector: Readonly<Record<string, number>>
  /** The highest confidence of a finding about each client that was named. */
  readonly confidences: readonly number[]
  readonly faults: readonly string[]
}

/** Honest clients that look like attackers, and those that don't. */
export async function evaluateBenign(scene: Scene, settings: Settings, progress: (line: string) => void): Promise<SuiteResult> {
  const measured: Measured[] = []
  for (const [index, kind] of clientKinds.entries()) {
    if (!kind.name.includes(settings.only)) continue
    const one = await measure(scene, kind, settings, index)
    measured.push(one)
    progress(`benign · ${rowOf(one).cells.join(' · ')}`)
  }
  const requests = sum(measured, (each) => each.requests)
  const episodes = sum(measured, (each) => each.episodes)
  const days = sum(measured, (each) => each.days)
  const all = {
    title: 'False alarms',
    note: 'Over every kind of honest client above, hard ones included. A client counts for a day at least. Upper bounds are exact, 95 %, one-sided; no more can be said with so few requests.',
    columns: ['requests', 'episodes', 'per million', 'at most', 'principal-days', 'per 1,000', 'at most'],
    rows: [
      {
        cells: [
          requests,
          episodes,
          round((episodes / requests) * 1e6),
          round(exactUpper(episodes, requests) * 1e6),
          round(days),
          round((episodes / days) * 1e3),
          round(poissonUpper(episodes, days) * 1e3),
        ],
        checks: [atMost('≤ 1 per million', (episodes / requests) * 1e6, 1)],
      },
    ],
  }
  const clients = {
    title: 'Honest clients',
    note: 'Each kind beside ordinary traffic, ten clients in an arena. Named: a finding about the client with confidence of at least 0.5; noticed: one with less, which nobody acts on; hardened and refused: what was done about it.',
    columns: ['kind', 'clients', 'requests', 'named', 'share at most', 'noticed', 'hardened', 'refused', 'by'],
    rows: measured.map(rowOf),
  }
  const curve = {
    title: 'Clients named by a finding at least so sure',
    across: 'confidence',
    up: 'clients',
    lines: measured.filter(({ named }) => named > 0).map((one) => ({ name: one.kind, dashed: false, points: survival(one) })),
  }
  const whole = settings.only === ''
  const generated = whole && settings.benignRequests > 0 ? [await evaluateGenerated(scene, settings, progress)] : []
  const cost = whole ? [measureCost(scene)] : []
  return { suite: 'benign', tables: [clients, all, ...generated, ...cost], curves: [curve], raw: measured }
}

async function measure(scene: Scene, kind: ClientKind, settings: Settings, index: number): Promise<Measured> {
  const clients = Math.max(1, Math.round(settings.runs * kind.share))
  const parts: Measured[] = []
  for (let from = 0; from < clients; from += together) {
    const count = Math.min(together, clients - from)
    parts.push(await measureSome(scene, kind, { seed: seedOf(settings.split, 10_000 * (index + 1) + from), count }))
  }
  return parts.reduce((a, b) => ({
    kind: a.kind,
    clients: a.clients + b.clients,
    requests: a.requests + b.requests,
    days: a.days + b.days,
    named: a.named + b.named,
    noticed: a.noticed + b.noticed,
    hardened: a.hardened + b.hardened,
    refused: a.refused + b.refused,
    episodes: a.episodes + b.episodes,
    byDetector: merged(a.byDetector, b.byDetector),
    confidences: [...a.confidences, ...b.confidences],
    faults: [...a.faults, ...b.faults],
  }))
}

/** Clients of one kind in turns, with as much ordinary traffic between. */
async function measureSome(scene: Scene, kind: ClientKind, { seed, count }: { seed: number; count: number }): Promise<Measured> {
  const random = seeded(seed)
  const arena = await openArena(scene, random)
  const began = arena.now
  const streams = []
  for (let i = 0; i < count; i++) streams.push({ name: `client-${i}`, queries: (await kind.queries(scene, random))[Symbol.iterator]() })
  let requests = 0
  for (let open = [...streams]; open.length > 0; ) {
    const ended = new Set<string>()
    for (const { name, queries } of open) {
      await arena.wait(kind.paceMs / open.length)
      const next = queries.next()
      if (next.done === true) {
        ended.add(name)
        continue
      }
      requests++
      await arena.ask(callerOf(name), () => next.value)
    }
    await ordinary(arena, scene.seen, random)
    open = open.filter(({ name }) => !ended.has(name))
  }
  const own = streams.map(({ name }) => arena.standing(name))
  const about = arena.findings.filter(
    (finding) => isAlarm(finding) && finding.principals.some((principal) => principal.startsWith('client')),
  )
  const episodes = new Map(about.map(({ id, detector }) => [id, detector]))
  return {
    kind: kind.name,
    clients: count,
    requests,
    days: count * Math.max(1, (arena.now - began) / dayMs),
    named: own.filter(({ findings }) => findings > 0).length,
    noticed: own.filter(({ findings, notices }) => findings === 0 && notices > 0).length,
    hardened: own.filter(({ degrees }) => degrees.rounded + degrees['top-k'] + degrees['label-only'] > 0).length,
    refused: own.filter(({ refused }) => refused > 0).length,
    episodes: episodes.size,
    byDetector: countOf(episodes.values()),
    confidences: own.flatMap(({ findings, confidence }) => (findings > 0 ? [confidence] : [])),
    faults: arena.faults,
  }
}

function rowOf({ kind, clients, requests, named, noticed, hardened, refused, byDetector }: Measured): Row {
  const by = Object.entries(byDetector).map(([detector, count]) => `${detector} ${count}`)
  return {
    cells: [kind, clients, requests, named, `${round(wilson(named, clients).high * 100)} %`, noticed, hardened, refused, by.join(', ')],
    checks: [{ goal: 'no client touched', met: hardened + refused === 0 }],
  }
}

function survival({ confidences, clients }: Measured): (readonly [number, number])[] {
  const sorted = confidences.toSorted((a, b) => a - b)
  const points: (readonly [number, number])[] = [[0, sorted.length / clients]]
  sorted.forEach((confidence, i) =>
    points.push([confidence, (sorted.length - i) / clients], [confidence, (sorted.length - i - 1) / clients]),
  )
  return points
}

function countOf(names: Iterable<string>): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}

function merged(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const all: Record<string, number> = { ...a }
  for (const [name, count] of Object.entries(b)) all[name] = (all[name] ?? 0) + count
  return all
}

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  return items.reduce((total, item) => total + of(item), 0)
}

function round(value: number): number {
  return Number(value.toPrecision(3))
}

/** Exact upper bound of a rate: events may fall anywhere in the time, so they are Poisson. */
function poissonUpper(events: number, time: number): number {
  const slices = 1e9
  return (exactUpper(events, slices) * slices) / time
}
