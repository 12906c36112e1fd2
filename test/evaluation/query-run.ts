import type { Exchange } from '../attacks/campaign.ts'
import type { Form } from '../attacks/forms.ts'
import { withinBound } from '../attacks/query-attacks.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { runCampaign } from '../attacks/run-campaign.ts'
import { queryThreat } from '../attacks/threats.ts'
import type { ReferenceDetector } from '../reference/port.ts'
import { type Arena, isAlarm, type Reply } from './arena.ts'
import type { EvaluatedAttack } from './attacks.ts'
import { callerOf } from './events.ts'
import { look, openArena, ordinary, type Scene } from './scene.ts'

/** What one run of one attack came to; queries are those of the attack, the ordinary ones it hides among left out. */
export interface QueryRun {
  readonly queries: number
  /** Queries until a finding named an account of the attacker's, and until the next one is told less or refused. */
  readonly found: number | null
  readonly contained: number | null
  readonly refused: number | null
  /** The query that first found what the attack looks for, within its bound. */
  readonly succeeded: number | null
  /** Attack queries that were answered in full. */
  readonly whole: number
  /** Strangers named by a finding. */
  readonly strangers: number
  /** The highest confidence of a finding about the attacker. */
  readonly confidence: number
  /** Queries until each reference detector flagged an account of the attacker's. */
  readonly references: Readonly<Record<string, number | null>>
  readonly faults: readonly string[]
}

export interface QueryAttempt {
  readonly attack: EvaluatedAttack
  readonly form: Form
  readonly seed: number
  readonly budget: number
  /** They look on, and are never acted upon. Fresh ones: they keep what they see. */
  readonly references: readonly ReferenceDetector[]
}

/** Mean milliseconds between two queries of an attacker in a hurry. */
const pace = 200
const accounts = 50

/** One attack against the arena, until its end, its budget, or the last account's refusal. */
export async function runQueryAttack(scene: Scene, { attack, form, seed, budget, references }: QueryAttempt): Promise<QueryRun> {
  const random = seeded(seed)
  const arena = await openArena(scene, random)
  const subject = subjectOf(scene, random)
  const watched = new Watched(scene, arena, references, random)
  const tally = new Tally(attack, subject.target)
  const principals = Array.from({ length: accounts }, (_, i) => `attacker-${i}`)
  const images = () => random.pick(scene.images)
  const threat = queryThreat(attack, { ...subject, images })
  const campaign = { threat, form, accounts: watched, random, principals, images, budget, start: arena.now, pace }
  await runCampaign(campaign, (exchange) => {
    if (exchange.origin === 'attack') tally.count(exchange, watched.last, watched.flagged)
    return true
  })
  const tries = tally.found !== null && tally.contained === null
  if (tries) tally.probe(await watched.probe())
  return { ...tally.result(), ...watched.result() }
}

/** A rightly read image, and one that is read as another class. */
function subjectOf({ images, labels, seen }: Scene, random: Random) {
  const draw = (fits: (i: number) => boolean): number => {
    for (;;) {
      const i = random.below(images.length)
      if (fits(i)) return i
    }
  }
  const read = (i: number) => seen[i]?.fingerprint.output.label
  const at = draw((i) => read(i) === labels[i])
  const label = labels[at] ?? 0
  const other = draw((i) => read(i) !== label)
  return { target: { source: images[at] ?? new Float32Array(0), label }, other: images[other] ?? new Float32Array(0) }
}

/** The attacker's accounts at the arena, among strangers who go on with their work, and with the references looking on. */
class Watched {
  readonly #scene: Scene
  readonly #arena: Arena
  readonly #references: readonly ReferenceDetector[]
  readonly #random: Random
  /** References that flagged an account of the attacker's. */
  readonly flagged = new Set<string>()
  #last: { readonly principal: string; readonly reply: Reply } | null = null

  constructor(scene: Scene, arena: Arena, references: readonly ReferenceDetector[], random: Random) {
    this.#scene = scene
    this.#arena = arena
    this.#references = references
    this.#random = random
    for (let i = 0; i < 200; i++) for (const each of references) this.#show(each, `stranger-${i % 20}`, random.below(scene.images.length))
  }

  get last(): Reply {
    if (this.#last === null) throw new Error('nothing was asked yet')
    return this.#last.reply
  }

  async query(principal: string, image: Float32Array, at: number): Promise<Reply['answer']> {
    await this.#arena.wait(Math.max(0, at - this.#arena.now))
    await ordinary(this.#arena, this.#scene.seen, this.#random)
    let seen: Awaited<ReturnType<typeof look>> | null = null
    const reply = await this.#arena.ask(callerOf(principal), async () => {
      seen = await look(this.#scene.victim, image)
      return seen
    })
    this.#last = { principal, reply }
    if (!reply.answer.refused) {
      const { label, probabilities } = reply.answer
      for (const each of this.#references) {
        const flags = each.observe(principal, image, { label, probabilities }, this.#arena.now)
        if (flags.some((name) => name.startsWith('attacker'))) this.flagged.add(each.name)
      }
    }
    return reply.answer
  }

  /** What the next query of the account in use would meet. */
  async probe(): Promise<Reply> {
    await this.#arena.wait(pace)
    return this.#arena.ask(callerOf(this.#last?.principal ?? ''), () => this.#random.pick(this.#scene.seen))
  }

  result(): Pick<QueryRun, 'strangers' | 'confidence' | 'faults'> {
    const named = new Set(this.#arena.findings.filter(isAlarm).flatMap(({ principals }) => principals))
    const own = [...named].filter((principal) => principal.startsWith('attacker'))
    return {
      strangers: [...named].filter((principal) => principal.startsWith('stranger')).length,
      confidence: Math.max(0, ...own.map((principal) => this.#arena.standing(principal).confidence)),
      faults: this.#arena.faults,
    }
  }

  #show(reference: ReferenceDetector, principal: string, index: number): void {
    const image = this.#scene.images[index]
    const seen = this.#scene.seen[index]
    if (image === undefined || seen === undefined) return
    reference.observe(principal, image, { label: seen.fingerprint.output.label, probabilities: seen.probabilities }, this.#arena.now)
  }
}

/** Counts what became of an attack's queries. */
class Tally {
  readonly #attack: EvaluatedAttack
  readonly #target: { readonly source: Float32Array; readonly label: number }
  readonly #references: Record<string, number> = {}
  #queries = 0
  #whole = 0
  #refused: number | null = null
  #succeeded: number | null = null
  found: number | null = null
  contained: number | null = null

  constructor(attack: EvaluatedAttack, target: { readonly source: Float32Array; readonly label: number }) {
    this.#attack = attack
    this.#target = target
  }

  count({ image, answer }: Exchange, { hardening, findings }: Reply, flagged: ReadonlySet<string>): void {
    if (answer.refused || hardening !== 'none') this.contained ??= this.#queries
    if (answer.refused) this.#refused ??= this.#queries
    this.#queries++
    if (!answer.refused && hardening === 'none') this.#whole++
    const fooled = !answer.refused && answer.label !== this.#target.label
    if (fooled && withinBound(this.#attack.norm, this.#target.source, image)) this.#succeeded ??= this.#queries
    if (findings.some((finding) => isAlarm(finding) && finding.principals.some((principal) => principal.startsWith('attacker'))))
      this.found ??= this.#queries
    for (const name of flagged) this.#references[name] ??= this.#queries
  }

  probe({ answer, hardening }: Reply): void {
    if (answer.refused || hardening !== 'none') this.contained = this.#queries
    if (answer.refused) this.#refused = this.#queries
  }

  result(): Omit<QueryRun, 'strangers' | 'confidence' | 'faults'> {
    return {
      queries: this.#queries,
      found: this.found,
      contained: this.contained,
      refused: this.#refused,
      succeeded: this.#succeeded,
      whole: this.#whole,
      references: this.#references,
    }
  }
}
