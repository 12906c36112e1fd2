import { Ledger } from '../../limits/ledger.ts'
import { SharedMeter } from '../../limits/meter.ts'
import type { Payer } from '../../limits/port.ts'
import type { LimitRule } from '../../limits/rules.ts'
import { Unanswered } from '../../limits/unanswered.ts'
import type { Share, Spending } from '../../schemas/index.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { payer } from './payers.ts'

export interface ClusterOptions {
  readonly rule: LimitRule
  readonly nodes: number
  readonly clients: number
  readonly seed: number
  /** Where each client sends its calls. Default: one node after the other. */
  readonly nodeOf?: (client: number) => number
  /** One way, milliseconds. */
  readonly delayMs: readonly [from: number, to: number]
  readonly durationMs: number
  /** A node that is killed, and when; what it said before still arrives. */
  readonly kill?: { readonly node: number; readonly atMs: number }
  /** A node that ends and begins anew again and again; its clients wait for it. */
  readonly crashes?: { readonly node: number; readonly fromMs: number; readonly everyMs: number }
  /** The allocator is replaced by one that knows what is on the log. */
  readonly restartAtMs?: number
  /** Nobody is in charge from then on, until a process that stood by for the last of that time takes it. */
  readonly takeover?: { readonly atMs: number; readonly forMs: number }
  /** Share of messages that come twice. */
  readonly duplicated?: number
  /** Cost that a call sets aside, and takes. */
  readonly most: number
  readonly used: (random: Random) => number
}

export interface ClusterOutcome {
  /** What runs cost, by all nodes. */
  readonly spent: number
  readonly ceiling: number
  /** Of the ceiling; negative where it was not reached. */
  readonly overshoot: number
  readonly served: number
  readonly refused: number
  readonly reports: number
  /** When the last call was served, milliseconds. */
  readonly lastAt: number
  /** From the takeover until a call was served, milliseconds; null where there was none, or none was served. */
  readonly resumedMs: number | null
}

/** Begins at a window's start. */
const start = Date.UTC(2026, 10, 1)
const flushMs = 50

interface Node {
  meter: SharedMeter
  alive: boolean
  /** How often it began. */
  life: number
}

/** Nodes, clients and an allocator in virtual time, with messages that are late, out of order and repeated. */
export class Cluster {
  readonly #options: ClusterOptions
  readonly #random: Random
  readonly #queue: { at: number; order: number; run: () => void }[] = []
  readonly #nodes: Node[]
  readonly #log = new Map<string, Share>()
  #ledger: Ledger
  /** Of who stands by, and is to take charge; null while somebody has it. */
  #unanswered: Unanswered | null = null
  #tookAt: number | null = null
  #resumedMs: number | null = null
  #now = start
  #order = 0
  #spent = 0
  #served = 0
  #refused = 0
  #reports = 0
  #lastAt = 0

  constructor(options: ClusterOptions) {
    this.#options = options
    this.#random = seeded(options.seed)
    this.#ledger = new Ledger({ rules: [options.rule], nodes: 4 })
    this.#nodes = Array.from({ length: options.nodes }, (_, i) => ({ meter: this.#begin(i, 1), alive: true, life: 1 }))
  }

  /** A process that has read the log. */
  #begin(index: number, life: number): SharedMeter {
    const meter = new SharedMeter({ rules: [this.#options.rule], instance: `node-${index}~${life}`, nodes: 4, whenAway: 'refuse' })
    for (const bucket of this.#log.keys()) meter.note(bucket)
    return meter
  }

  run(): ClusterOutcome {
    const { durationMs, clients, kill, crashes, restartAtMs, takeover, nodeOf = (client) => client % this.#options.nodes } = this.#options
    this.#nodes.forEach((_, i) => void this.#at(flushMs, () => this.#flush(i)))
    for (let client = 0; client < clients; client++) {
      this.#at(this.#random.below(200), () => this.#call(nodeOf(client), payer({ keyId: `key-${client % 7}` })))
    }
    if (kill !== undefined) this.#at(kill.atMs, () => this.#kill(kill.node))
    if (crashes !== undefined) this.#at(crashes.fromMs, () => this.#crash(crashes.node, crashes.everyMs))
    if (restartAtMs !== undefined) this.#at(restartAtMs, () => this.#restart())
    if (takeover !== undefined) this.#at(takeover.atMs, () => this.#takeOver(takeover.forMs))
    while (this.#now < start + durationMs) {
      const next = this.#pop()
      if (next === undefined) break
      this.#now = next.at
      next.run()
    }
    const { amount: ceiling } = this.#options.rule
    const [spent, served, refused, reports] = [this.#spent, this.#served, this.#refused, this.#reports]
    const when = { lastAt: this.#lastAt - start, resumedMs: this.#resumedMs }
    return { spent, ceiling, overshoot: spent / ceiling - 1, served, refused, reports, ...when }
  }

  #call(node: number, who: Payer): void {
    const { meter, alive, life } = this.#nodes[node] as Node
    if (!alive) return
    const { most, used } = this.#options
    const reservation = meter.reserve(who, { requests: 1, tokens: 1, cost: most }, this.#now)
    if (!reservation.ok) {
      this.#refused++
      this.#at(reservation.retryMs > 1_000 ? 5_000 : 500, () => this.#call(node, who))
      return
    }
    const cost = used(this.#random)
    // What a model did is paid for, whoever lives to tell.
    this.#spent += cost
    this.#served++
    this.#lastAt = this.#now
    if (this.#tookAt !== null) this.#resumedMs ??= this.#now - this.#tookAt
    this.#at(20 + this.#random.below(400), () => {
      if (this.#nodes[node]?.alive !== true) return
      if (this.#nodes[node]?.life === life) reservation.settle({ requests: 1, tokens: 1, cost }, this.#now)
      this.#call(node, who)
    })
  }

  #flush(index: number): void {
    const node = this.#nodes[index] as Node
    if (!node.alive) return
    const lines = [...node.meter.report(this.#now)]
    if (lines.length > 0) {
      this.#reports++
      const spending: Spending = { node: `node-${index}`, at: this.#now, lines }
      this.#send(() => this.#hear(spending))
    }
    this.#at(flushMs, () => this.#flush(index))
  }

  #hear(spending: Spending): void {
    if (this.#unanswered !== null) return this.#unanswered.note(spending, this.#now)
    for (const bucket of this.#ledger.take(spending, this.#now)) {
      const share = this.#ledger.share(bucket)
      if (share === undefined) continue
      this.#log.set(bucket, share)
      for (const node of this.#nodes) this.#send(() => void node.meter.hear(share))
    }
  }

  #kill(index: number): void {
    const node = this.#nodes[index] as Node
    node.alive = false
  }

  #crash(index: number, everyMs: number): void {
    const node = this.#nodes[index] as Node
    node.life++
    node.meter = this.#begin(index, node.life)
    this.#at(everyMs, () => this.#crash(index, everyMs))
  }

  #takeOver(forMs: number): void {
    this.#unanswered = new Unanswered()
    this.#at(forMs, () => {
      const unanswered = this.#unanswered?.take(this.#now) ?? []
      this.#unanswered = null
      this.#tookAt = this.#now
      this.#restart()
      for (const spending of unanswered) this.#hear(spending)
    })
  }

  #restart(): void {
    this.#ledger = new Ledger({ rules: [this.#options.rule], nodes: 4 })
    for (const share of this.#log.values()) this.#ledger.learn(share)
  }

  #send(run: () => void): void {
    const [from, to] = this.#options.delayMs
    this.#at(this.#random.between(from, to), run)
    if (this.#random.next() < (this.#options.duplicated ?? 0)) this.#at(this.#random.between(from, 4 * to), run)
  }

  /** A binary heap by time, then by order. */
  #at(inMs: number, run: () => void): void {
    const queue = this.#queue
    queue.push({ at: this.#now + inMs, order: this.#order++, run })
    for (let i = queue.length - 1; i > 0; ) {
      const parent = (i - 1) >> 1
      if (!this.#before(i, parent)) break
      this.#swap(i, parent)
      i = parent
    }
  }

  #pop(): { at: number; run: () => void } | undefined {
    const queue = this.#queue
    const first = queue[0]
    const last = queue.pop()
    if (first === undefined || last === undefined || queue.length === 0) return first
    queue[0] = last
    for (let i = 0; ; ) {
      const [left, right] = [2 * i + 1, 2 * i + 2]
      let least = i
      if (left < queue.length && this.#before(left, least)) least = left
      if (right < queue.length && this.#before(right, least)) least = right
      if (least === i) return first
      this.#swap(i, least)
      i = least
    }
  }

  #before(a: number, b: number): boolean {
    const [one, other] = [this.#queue[a], this.#queue[b]]
    if (one === undefined || other === undefined) return false
    return one.at < other.at || (one.at === other.at && one.order < other.order)
  }

  #swap(a: number, b: number): void {
    const [one, other] = [this.#queue[a], this.#queue[b]]
    if (one === undefined || other === undefined) return
    this.#queue[a] = other
    this.#queue[b] = one
  }
}
