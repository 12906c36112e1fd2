import type { FastifyInstance } from 'fastify'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import type { Authenticator } from '../../access/identity.ts'
import type { AuditTrail } from '../../audit/port.ts'
import type { View } from '../../bus/view.ts'
import type { Containment, Instant, Model } from '../../schemas/index.ts'
import type { ServedConfiguration } from '../configuration.ts'
import type { Emitter } from '../emitter/emitter.ts'
import type { Fingerprinter, PromptFingerprinter, TensorRuntime, TextRuntime } from '../port.ts'
import type { ControlOptions, ControlSource } from './freshness.ts'
import type { Permission } from './permission.ts'
import type { Metering } from './reservation.ts'
import type { Tls } from './tls.ts'
import type { Tracing } from './tracing.ts'

/** Workers that run models together; a quarantined pool leaves its models to the others. */
export interface Pool {
  readonly name: string
  readonly models: readonly string[]
  /** Requests that run at once. */
  readonly concurrency: number
}

/** An allowance of inputs in a time. */
export interface Quota {
  readonly requests: number
  readonly windowMs: number
}

export interface NodeLimits {
  /** Inputs in one request. */
  readonly maxItems: number
  /** Bytes of one body, beyond which 413. */
  readonly maxBodyBytes: number
  /** Bytes of all bodies in memory, beyond which 503; no principal holds more than a quarter while others want some. */
  readonly maxBufferedBytes: number
  /** Bytes a second that a body must arrive with after its first second, on average; slower is 408. 0 is any. */
  readonly minBodyRate: number
  /** Requests that wait for a place in a pool, over all pools; then who has the most waiting gives way. */
  readonly maxInFlight: number
  /** How long a request may have to wait for its place; who would wait for longer gets 503 at once. */
  readonly maxQueueMs: number
  /** Beyond it 503, and the connection is closed. */
  readonly maxConnections: number
  /** Requests over one connection, after which it is closed behind the answer. */
  readonly maxRequestsPerConnection: number
  /** Requests on one connection that are not answered yet, beyond which 503 and the connection is closed. */
  readonly maxPipelined: number
  readonly maxHeaderBytes: number
  readonly maxHeaders: number
  /** How long the headers, and the whole request, may take to arrive. */
  readonly headersMs: number
  readonly requestMs: number
  /** How long an idle connection is kept. */
  readonly keepAliveMs: number
  /** How long the model may take, waiting included, beyond which 503. */
  readonly inferMs: number
  /** How long a generation may take, its stream included. */
  readonly generateMs: number
  /** How often a stream is looked at whose key may have been revoked, or whose principal denied. */
  readonly streamLookMs: number
  /** Once the node closes: how long it still listens and serves while `/v2/health/ready` says 503, for balancers to see it. */
  readonly announceMs: number
  /** And then: how long what runs may take to finish, streams too. */
  readonly drainMs: number
  /** Ordinary allowance of each principal; null for none. */
  readonly ordinary: Quota | null
  /** Events of requests without a usable key, each second; more are counted and not recorded. */
  readonly anonymousEvents: number
  /** Between telemetry events. */
  readonly telemetryMs: number
}

export const defaultLimits: NodeLimits = {
  maxItems: 128,
  maxBodyBytes: 4_194_304,
  maxBufferedBytes: 268_435_456,
  minBodyRate: 1_024,
  maxInFlight: 1_024,
  maxQueueMs: 5_000,
  maxConnections: 4_096,
  maxRequestsPerConnection: 100_000,
  maxPipelined: 64,
  maxHeaderBytes: 16_384,
  maxHeaders: 128,
  headersMs: 10_000,
  requestMs: 30_000,
  keepAliveMs: 15_000,
  inferMs: 30_000,
  generateMs: 600_000,
  streamLookMs: 1_000,
  announceMs: 0,
  drainMs: 10_000,
  ordinary: null,
  anonymousEvents: 50,
  telemetryMs: 5_000,
}

/** Cost of one input where the model's configuration names none, in the price table's currency. */
export interface Prices {
  readonly perItem: number
}

export interface NodeOptions {
  /** The node's name in events and acknowledgements; a valid `Name`. */
  readonly name: string
  readonly pools: readonly Pool[]
  readonly runtime: TensorRuntime
  readonly text: TextRuntime
  readonly configurationOf: (model: string) => ServedConfiguration
  readonly tracing: Tracing
  /** Undefined where a model version has no reference profile: then its requests leave no fingerprints. */
  readonly fingerprinterOf: (model: string, version: string) => Fingerprinter | undefined
  /** Undefined: then no prompt leaves an event. */
  readonly prompts?: PromptFingerprinter | undefined
  /** What the authenticator knows keys by: how old that is counts as it does of containments and models. */
  readonly keys: ControlSource
  /** Who calls. */
  readonly authenticator: Authenticator
  /** Further routes of the same port, such as those that issue tokens. */
  readonly moreRoutes?: (app: FastifyInstance) => void
  /** Whether callers may; where it is left out, all may whose credential is for inference. */
  readonly permission?: Permission
  /** How much they may; where it is left out, nothing but the ordinary quota and leases. */
  readonly metering?: Metering
  /** Where what happened is chained; where it is left out, it is in the events alone. */
  readonly audit?: AuditTrail
  readonly containments: View<Containment>
  /** A model that it does not know yet is served in its newest loaded version: the node never waits for whoever writes the topic. */
  readonly models: View<Model>
  readonly control: ControlOptions
  /** Takes events and acknowledgements; opened and closed by the caller, after the node. */
  readonly emitter: Emitter
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  readonly limits?: Partial<NodeLimits>
  /** Addresses and CIDRs of proxies whose `X-Forwarded-For` is believed; none where it is left out. */
  readonly trustedProxies?: readonly string[]
  /** Where it is left out, the node speaks plain HTTP. Opened and closed by the caller. */
  readonly tls?: Tls | undefined
  /** Key of the pseudonyms of addresses and agents: 32 secret bytes, the same on every node. */
  readonly addressKey: Uint8Array
  readonly prices: Prices
  /** Tells nodes with different fingerprint keys apart, see `fingerprintKeyId`. */
  readonly fingerprintKeyId?: string
}
