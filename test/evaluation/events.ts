import type { Fingerprint } from '../../inference/port.ts'
import { digest } from '../../pipeline/response/digest.ts'
import { type EventOf, type Hardening, type Instant, plainInference, uuidv7 } from '../../schemas/index.ts'

/** What a node knows of a caller beside its name. */
export interface Caller {
  readonly principal: string
  /** Keyed hashes of address and user agent. */
  readonly client: string
  readonly agent: string
  readonly keyCreatedAt: Instant | null
}

/** Start of virtual time: a Monday. */
export const start: Instant = Date.UTC(2026, 0, 5)
const day = 86_400_000
const agents = ['python-requests', 'httpx', 'curl', 'node', 'okhttp', 'go-http', 'tritonclient', 'openai-python'] as const

/** A caller with an address of its own, one of eight ordinary agents, and a key made in the year before `start`: all by its name. */
export function callerOf(principal: string, keyAgeMs?: number): Caller {
  const seed = Number.parseInt(digest(principal).slice(0, 8), 16)
  const agent = digest(agents[seed % agents.length] ?? '').slice(0, 16)
  const age = keyAgeMs ?? 2 * day + (seed % 363) * day
  return { principal, client: digest(`address of ${principal}`).slice(0, 16), agent, keyCreatedAt: start - age }
}

/** The n-th id at a time. */
export function idOf(n: number, at: Instant): string {
  const bytes = new Uint8Array(10)
  new DataView(bytes.buffer).setUint32(6, n)
  return uuidv7(at, bytes)
}

interface About {
  readonly n: number
  readonly at: Instant
  readonly caller: Caller
  readonly hardening: Hardening
  readonly answered: boolean
}

const nobody = { organization: null, keyId: null, model: 'digits', node: 'evaluation' } as const

export function fingerprintEvent(
  { n, at, caller, hardening, answered }: About,
  version: string,
  fingerprint: Fingerprint,
): EventOf<'fingerprint'> {
  const request = idOf(2 * n, at)
  const data = { ...fingerprint, request, index: 0, ...nobody, version, hardening, answered, ...caller }
  return { kind: 'fingerprint', id: idOf(2 * n + 1, at), time: at, source: 'evaluation', data }
}

/** A request that was answered (`status` 200), or refused. */
export function requestEvent(
  { n, at, caller, hardening }: About,
  version: string,
  { status, lease, confidence }: { readonly status: number; readonly lease: string | null; readonly confidence: number | null },
): EventOf<'request'> {
  const { keyCreatedAt: _, ...who } = caller
  const outcome = status === 200 ? 'served' : status === 403 ? 'denied' : 'throttled'
  const cost = { items: 1, bytesIn: 3_300, bytesOut: 260, durationMs: 3, queueMs: 0, tokensIn: 0, tokensOut: 0, cost: 0 }
  const data = {
    ...nobody,
    ...who,
    ...cost,
    ...plainInference,
    version: status === 200 ? version : null,
    pool: 'default',
    outcome,
    status,
    hardening,
    answeredAt: at + 3,
    lease,
    confidence,
  } as const
  return { kind: 'request', id: idOf(2 * n, at), time: at, source: 'evaluation', data }
}
