import type { Images } from '../benign/clients.ts'
import type { Form } from './forms.ts'
import type { Answer, AttackResult, Oracle } from './oracle.ts'
import type { Random } from './random.ts'

/** The accounts of one attacker, at a model in memory or at a running node. */
export interface Accounts {
  /** @param at virtual time in milliseconds, increasing; a node over HTTP may leave it aside */
  query(principal: string, image: Float32Array, at: number): Promise<Answer>
}

/** One query as it was sent, and what came back. */
export interface Exchange {
  readonly principal: string
  readonly at: number
  readonly image: Float32Array
  readonly origin: 'attack' | 'ordinary'
  readonly answer: Answer
}

/** What an attack is told when it begins, and when an adaptive attacker begins again. */
export interface Round {
  /** 0, 1, 2, … */
  readonly number: number
  readonly random: Random
  /** Queries left. */
  readonly budget: number
  /** Deviation of the noise on where it starts: 0 in the first round. */
  readonly jitter: number
}

/** One attack at one target, whatever its kind (`threats.ts` makes them); null where it looks for no image. */
export interface Threat {
  readonly name: string
  readonly run: (oracle: Oracle, round: Round) => Promise<AttackResult | null>
}

export interface Campaign {
  readonly threat: Threat
  readonly form: Form
  readonly accounts: Accounts
  readonly random: Random
  /** The attacker's names, used from the first on; a form never uses more than it has. */
  readonly principals: readonly string[]
  /** What it sends as ordinary queries. */
  readonly images: Images
  /** Queries of the attack in all, refused ones too, ordinary ones not. */
  readonly budget: number
  /** When it begins, and the mean time between two queries (exponential), both in milliseconds. */
  readonly start?: number
  readonly pace?: number
}

export interface Outcome {
  /** The nearest image found in any round; distances are from the source of that round. */
  readonly result: AttackResult | null
  readonly rounds: number
  readonly sent: { readonly attack: number; readonly ordinary: number; readonly refused: number }
  /** Principals that were used. */
  readonly principals: readonly string[]
  /** Virtual time of the last query. */
  readonly until: number
}
