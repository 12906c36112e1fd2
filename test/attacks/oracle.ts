/** What an attacker sees of one query. */
export type Answer =
  | { readonly refused: false; readonly label: number; readonly probabilities: Float32Array }
  /** 401, 403, 429 or 503; `retryAfterMs` null when the answer did not say. */
  | { readonly refused: true; readonly status: number; readonly retryAfterMs: number | null }

/** A model behind an interface: in memory, or a running node over HTTP. */
export interface Oracle {
  /** @param image values in 0..1, row-major; kept unchanged */
  query(image: Float32Array): Promise<Answer>
}

export interface AttackResult {
  /** The last image that the model got wrong, and its L2 distance from the source; null when none was found. */
  readonly adversarial: Float32Array | null
  readonly distance: number
  readonly queries: number
  readonly stopped: 'done' | 'budget' | 'refused'
}

/** Ends an attack from inside its loops; never leaves `run`. */
class Stop extends Error {
  readonly why: 'budget' | 'refused'
  constructor(why: 'budget' | 'refused') {
    super(why)
    this.why = why
  }
}

export interface Target {
  /** The image to be misread, and what the model rightly says of it. */
  readonly source: Float32Array
  readonly label: number
}

/** One attack's view of the oracle: it counts, stops at the budget or the first refusal, and keeps the best image found. */
export class Attempt {
  readonly target: Target
  readonly #oracle: Oracle
  readonly #budget: number
  #queries = 0
  #best: Float32Array | null = null
  #distance = Number.POSITIVE_INFINITY

  constructor(oracle: Oracle, target: Target, budget: number) {
    this.#oracle = oracle
    this.target = target
    this.#budget = budget
  }

  async ask(image: Float32Array): Promise<{ label: number; probabilities: Float32Array }> {
    if (this.#queries >= this.#budget) throw new Stop('budget')
    const answer = await this.#oracle.query(image)
    this.#queries++
    if (answer.refused) throw new Stop('refused')
    const distance = l2(image, this.target.source)
    if (answer.label !== this.target.label && distance < this.#distance) {
      this.#best = image.slice()
      this.#distance = distance
    }
    return answer
  }

  /** Whether the model misreads it. */
  async fools(image: Float32Array): Promise<boolean> {
    return (await this.ask(image)).label !== this.target.label
  }

  async run(attack: () => Promise<void>): Promise<AttackResult> {
    let stopped: AttackResult['stopped'] = 'done'
    try {
      await attack()
    } catch (error) {
      if (!(error instanceof Stop)) throw error
      stopped = error.why
    }
    return { adversarial: this.#best, distance: this.#distance, queries: this.#queries, stopped }
  }
}

export function l2(a: Float32Array, b: Float32Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2
  return Math.sqrt(sum)
}

/** `a + share · (b − a)`. */
export function blend(a: Float32Array, b: Float32Array, share: number): Float32Array {
  return a.map((value, i) => value + share * ((b[i] ?? 0) - value))
}

/** `a + factor · b`, cut to 0..1. */
export function step(a: Float32Array, b: Float32Array, factor: number): Float32Array {
  return a.map((value, i) => Math.min(1, Math.max(0, value + factor * (b[i] ?? 0))))
}
