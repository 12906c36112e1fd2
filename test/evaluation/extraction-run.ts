import type { ExtractionAttack } from '../attacks/extraction-attacks.ts'
import { type Random, seeded } from '../attacks/random.ts'
import type { Observed } from '../lab/victim.ts'
import { type Arena, isAlarm, type Reply } from './arena.ts'
import { type Caller, callerOf } from './events.ts'
import { look, observeAll, openArena, ordinary, type Scene } from './scene.ts'

/** How a theft is spread over accounts and time. */
export interface TheftForm {
  readonly name: string
  readonly accounts: number
  /** Ordinary queries of the same account before each of the theft's, and queries of strangers meanwhile. */
  readonly mix: number
  readonly strangers: number
  /** Between two queries of the theft, milliseconds. */
  readonly paceMs: number
  /** Queries of the theft, at most. */
  readonly most: number
}

const second = 1_000
const single: TheftForm = { name: 'single', accounts: 1, mix: 0, strangers: 1, paceMs: second, most: 5_000 }

export const theftForms: readonly TheftForm[] = [
  single,
  { ...single, name: '10 × 500', accounts: 10 },
  { ...single, name: '100 × 50', accounts: 100 },
  { ...single, name: '100 × 50, a tenth of traffic', accounts: 100, strangers: 9 },
  { ...single, name: 'mixed 1:9', mix: 9, most: 1_000 },
  { ...single, name: 'slow', paceMs: 600 * second, most: 1_000 },
]

/** Counts are queries of the theft; the ordinary ones that it hides among are left out. */
export interface TheftRun {
  readonly queries: number
  readonly found: number | null
  readonly contained: number | null
  readonly refused: number | null
  /** Answers in full, rounded, and of which the label alone was told. */
  readonly whole: number
  readonly rounded: number
  readonly labels: number
  /** Accounts refused or told less before their share was spent. */
  readonly accountsContained: number
  /** What the leakage meter last said before the first containment; null where it said nothing. */
  readonly leakage: number | null
  readonly strangers: number
  /** Answers in full after each tenth of the queries. */
  readonly course: readonly number[]
  readonly faults: readonly string[]
}

/**
 * The theft's queries with the answers that nobody held back. What it asks after its containment may depend on the answers;
 * here it goes on as if it had them all, which is no easier to see.
 */
export async function recordTheft(scene: Scene, attack: ExtractionAttack, seed: number, count: number): Promise<readonly Observed[]> {
  const random = seeded(seed)
  const queries = attack.queries(() => random.pick(scene.images), random)
  const seen: Observed[] = []
  const open: Float32Array[] = []
  let next = queries.next()
  while (next.done !== true && seen.length + open.length < count) {
    // Those without seeds of their own do not look at the answers: they are shown to the model by the batch.
    if (attack.seeds === 0) {
      open.push(next.value)
      next = queries.next(new Float32Array(10))
    } else {
      const one = await look(scene.victim, next.value)
      seen.push(one)
      next = queries.next(one.probabilities)
    }
  }
  return [...seen, ...(await observeAll(scene.victim, open))]
}

/** One theft against the arena: it asks everything, whatever it is refused. */
export async function runTheft(scene: Scene, theft: readonly Observed[], form: TheftForm, seed: number): Promise<TheftRun> {
  const random = seeded(seed)
  const arena = await openArena(scene, random)
  const callers = Array.from({ length: form.accounts }, (_, i) => callerOf(`thief-${i}`))
  const tally = new Tally(Math.min(form.most, theft.length))
  for (const [n, query] of theft.slice(0, form.most).entries()) {
    const caller = callers[n % callers.length]
    if (caller === undefined) break
    await accompany(scene, arena, { form, random, caller })
    tally.count(await arena.ask(caller, () => query))
  }
  const named = new Set(arena.findings.filter(isAlarm).flatMap(({ principals }) => principals))
  return {
    ...tally.result(),
    accountsContained: callers.filter(({ principal }) => arena.standing(principal).containedAt !== null).length,
    strangers: [...named].filter((principal) => principal.startsWith('stranger')).length,
    faults: arena.faults,
  }
}

/** What others, and the thief itself, send before the theft's next query; the time it takes passes. */
async function accompany(scene: Scene, arena: Arena, { form, random, caller }: { form: TheftForm; random: Random; caller: Caller }) {
  const parts = form.strangers + form.mix + 1
  for (let i = 0; i < form.strangers; i++) {
    await arena.wait(form.paceMs / parts)
    await ordinary(arena, scene.seen, random)
  }
  for (let i = 0; i < form.mix; i++) {
    await arena.wait(form.paceMs / parts)
    await arena.ask(caller, () => random.pick(scene.seen))
  }
  await arena.wait(form.paceMs / parts)
}

class Tally {
  readonly #count: number
  readonly #course: number[] = []
  readonly #degrees = { none: 0, rounded: 0, 'top-k': 0, 'label-only': 0 }
  #queries = 0
  #found: number | null = null
  #contained: number | null = null
  #refused: number | null = null
  #leakage: number | null = null

  constructor(count: number) {
    this.#count = count
  }

  count({ answer, hardening, findings }: Reply): void {
    if (answer.refused || hardening !== 'none') this.#contained ??= this.#queries
    if (answer.refused) this.#refused ??= this.#queries
    else this.#degrees[hardening]++
    this.#queries++
    for (const finding of findings) {
      const { principals, evidence, detector } = finding
      if (isAlarm(finding) && principals.some((principal) => principal.startsWith('thief'))) this.#found ??= this.#queries
      const estimate = evidence['fidelity']
      if (detector === 'model-leakage' && typeof estimate === 'number' && this.#contained === null) this.#leakage = estimate
    }
    if (this.#queries % Math.max(1, Math.floor(this.#count / 10)) === 0) this.#course.push(this.#degrees.none)
  }

  result() {
    return {
      queries: this.#queries,
      found: this.#found,
      contained: this.#contained,
      refused: this.#refused,
      whole: this.#degrees.none,
      rounded: this.#degrees.rounded,
      labels: this.#degrees['label-only'],
      leakage: this.#leakage,
      course: this.#course,
    }
  }
}
