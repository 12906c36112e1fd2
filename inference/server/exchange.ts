import type { Identity } from '../../access/identity.ts'
import type { Usage } from '../../limits/port.ts'
import type { PolicyDecision } from '../../policy/port.ts'
import type {
  FingerprintEvent,
  Hardening,
  Instant,
  Operation,
  Outcome,
  PromptEvent,
  PromptSampling,
  Sampling,
  TokenCount,
} from '../../schemas/index.ts'
import { RequestCancellation } from '../cancellation.ts'
import type { Fingerprint, PromptFingerprint } from '../port.ts'
import type { Trace } from '../telemetry/trace-context.ts'

/** How refusals are worded: problem details with `error` for the Open Inference Protocol, or an `error` object of the OpenAI API. */
export type Dialect = 'oip' | 'openai'

/** What an answer, or what there is of it, tells of itself. */
export type Verdict = Pick<PromptEvent, 'refused' | 'answer' | 'canaries'>

/** The prompts of a request that a model was asked, and what became of them. */
export interface Prompts {
  readonly fingerprints: readonly PromptFingerprint[]
  readonly sampling: PromptSampling | null
  /** As of now: asked when the event is written. */
  verdictOf(prompt: number): Verdict
}

/** One request on its way through the node: what its event will say. */
export interface Exchange {
  readonly arrivedAt: Instant
  /** The same moment on the monotonic clock, milliseconds. */
  readonly startedAt: number
  readonly dialect: Dialect
  operation: Operation
  /** Null until it is known; in the OpenAI API the body names it. */
  model: string | null
  principal: string
  organization: string | null
  keyId: string | null
  keyCreatedAt: Instant | null
  /** Null until its credential was found good. */
  identity: Identity | null
  /** The peer's address, behind trusted proxies the client's; for policies, and never written down. */
  readonly address: string
  /** What the client says that it asks for. */
  readonly purpose: string | null
  /** Null until the policies were asked, and where there are none. */
  decision: PolicyDecision | null
  /** Gives back the room that was set aside for it, or takes what it took beyond. */
  settle: ((used: Usage, now: Instant) => void) | undefined
  /** The text itself, where the model's configuration has it kept. */
  keptPrompt: string | null
  version: string | null
  pool: string | null
  endpoint: string | null
  outcome: Outcome
  hardening: Hardening
  lease: string | null
  items: number
  bytesIn: number
  bytesOut: number
  queueMs: number
  /** When the model was asked, on the monotonic clock, and how long it took until its answer began; null where it was not. */
  calledAt: number | null
  calledMs: number | null
  /** From its arrival to its event. */
  durationMs: number
  confidence: number | null
  streamed: boolean
  firstTokenMs: number | null
  tokensIn: number
  tokensOut: number
  tokenCount: TokenCount
  /** In the price table's currency; known when its event is written. */
  cost: number
  sampling: Sampling | null
  finishReasons: readonly string[]
  toolCalls: number
  /** Digest of the configuration that the model is served under. */
  configuration: string
  /** The event's id, once something had to name it. */
  id: FingerprintEvent['request'] | undefined
  fingerprints: readonly Fingerprint[]
  /** Undefined until the model is asked, and where nobody looks at prompts. */
  prompts: Prompts | undefined
  /** Pseudonym of the peer's address, once its event has it. */
  client: string | null
  readonly cancellation: RequestCancellation
  trace: Trace
  /** Its event was written; nothing that happens later is in it. */
  recorded: boolean
}

export interface Arrival {
  readonly arrivedAt: Instant
  readonly startedAt: number
  readonly dialect: Dialect
  readonly operation: Operation
  readonly trace: Trace
  readonly address: string
  readonly purpose: string | null
  /** How long the answer may take in all, milliseconds. */
  readonly withinMs: number
}

export function newExchange({ arrivedAt, startedAt, dialect, operation, trace, address, purpose, withinMs }: Arrival): Exchange {
  return {
    arrivedAt,
    startedAt,
    dialect,
    operation,
    model: null,
    principal: 'anonymous',
    organization: null,
    keyId: null,
    keyCreatedAt: null,
    identity: null,
    address,
    purpose,
    decision: null,
    settle: undefined,
    keptPrompt: null,
    version: null,
    pool: null,
    endpoint: null,
    outcome: 'served',
    hardening: 'none',
    lease: null,
    items: 0,
    bytesIn: 0,
    bytesOut: 0,
    queueMs: 0,
    calledAt: null,
    calledMs: null,
    durationMs: 0,
    confidence: null,
    streamed: false,
    firstTokenMs: null,
    tokensIn: 0,
    tokensOut: 0,
    tokenCount: 'none',
    cost: 0,
    sampling: null,
    finishReasons: [],
    toolCalls: 0,
    configuration: '',
    id: undefined,
    fingerprints: [],
    prompts: undefined,
    client: null,
    cancellation: new RequestCancellation(startedAt + withinMs),
    trace,
    recorded: false,
  }
}
