import type { NodeLimits } from '../../inference/server/options.ts'

/** Bounds of the node that is attacked: short, so that whoever dawdles is seen to be cut off. */
export const limits = {
  maxBodyBytes: 1_048_576,
  maxBufferedBytes: 134_217_728,
  headersMs: 2_000,
  requestMs: 3_000,
  keepAliveMs: 1_000,
  inferMs: 5_000,
  generateMs: 5_000,
  maxQueueMs: 1_000,
  maxConnections: 200,
  maxHeaderBytes: 16_384,
} as const satisfies Partial<NodeLimits>

/** Stand in bodies and headers of the attack, and must not be seen anywhere else. Neither can be a model's name, which events do name. */
export const secrets = ['hostile marker 7d1f', 'hostile:credential:93ab']

/** What must not be seen of a key: all of it, and the part of it that is secret. */
export function partsOf(key: string): readonly string[] {
  return [key, key.slice(key.lastIndexOf('_') + 1)]
}

/** Key of the pseudonyms of addresses and agents. */
export const addressKey = new Uint8Array(32)

export type Order = 'report' | 'close'

export interface Ready {
  readonly port: number
  readonly hostile: string
  readonly ordinary: string
}

/** What the node wrote down of requests: whose User-Agent, as a pseudonym, and how they ended. */
export interface Recorded {
  readonly recorded: readonly (readonly [agent: string, outcome: string, status: number])[]
}

export interface Report {
  readonly begun: number
  readonly ended: number
  /** Exchanges that ended more than once. */
  readonly twice: number
  readonly events: number
  /** Events with a secret in them. */
  readonly leaks: number
  /** Requests without a key beyond the rate that is recorded. */
  readonly unrecorded: number
  readonly rss: number
  readonly heapUsed: number
  readonly inFlight: number
}
