import type { FingerprintEvent, Operation, OutputSummary, PromptEvent } from '../schemas/index.ts'

/** Datatypes of the Open Inference Protocol. */
export type Datatype =
  | 'BOOL'
  | 'UINT8'
  | 'UINT16'
  | 'UINT32'
  | 'UINT64'
  | 'INT8'
  | 'INT16'
  | 'INT32'
  | 'INT64'
  | 'FP16'
  | 'FP32'
  | 'FP64'
  | 'BYTES'

/** A tensor of the Open Inference Protocol as a model declares it; -1 is a free dimension, and the first one is the batch. */
export interface TensorSpec {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Bounds of the values, inclusive; undefined where the model declares none. */
  readonly range?: readonly [number, number]
}

/**
 * Values of a tensor, row-major. FP16 and FP32 as Float32Array, FP64 as Float64Array, INT64 and UINT64 as 64-bit arrays,
 * BOOL and UINT8 as Uint8Array, the other integers as theirs; BYTES as one buffer an element.
 */
export type TensorData =
  | Float32Array
  | Float64Array
  | Uint8Array
  | Uint16Array
  | Uint32Array
  | Int8Array
  | Int16Array
  | Int32Array
  | BigInt64Array
  | BigUint64Array
  | readonly Uint8Array[]

export interface Tensor {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  readonly data: TensorData
}

export interface ModelInfo {
  readonly name: string
  readonly version: string
  /** `tfjs-layers`, `tfjs-graph`, `tensorflow-savedmodel`, `cordon-language`, `openai`, or what an upstream says. */
  readonly platform: string
  /** What can be asked of it. A model of `infer` declares tensors; the others none. */
  readonly operations: readonly Operation[]
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Names of the classes of the first output; empty where it is no classifier, or names none. */
  readonly labels: readonly string[]
  /** Digest of weights and topology, `sha256:…`, checked when it was loaded; null for what runs elsewhere. */
  readonly digest: string | null
}

/** Endpoints of a pool. */
export interface EndpointCount {
  readonly healthy: number
  readonly all: number
}

/** What runs models for pools. Errors: `InferenceErrorCode` (inference/errors.ts). */
export interface Runtime {
  /** What can be asked for now, by name, versions in natural order. */
  list(): readonly ModelInfo[]
  /** Undefined when there is no such model or version. */
  info(model: string, version: string): ModelInfo | undefined
  /** Requests waiting or running in a pool; 0 for a pool that is not its own. */
  depth(pool: string): number
  /** Whether a pool takes work: its worker runs, or some endpoint of it answers. */
  ready(pool: string): boolean
  /** A model as one pool serves it, undefined where that does not; left out by a runtime whose pools serve the same. */
  infoIn?(pool: string, model: string, version: string): ModelInfo | undefined
  /** Of a pool whose models run elsewhere: how many of its endpoints are well. Undefined for any other. */
  endpoints?(pool: string): EndpointCount | undefined
  close(): Promise<void>
}

/** A request, or an answer, as bytes of the Open Inference Protocol: JSON, then binary tensors if `jsonBytes` says where JSON ends. */
export interface RawInference {
  readonly body: Uint8Array
  /** Value of `Inference-Header-Content-Length`; null where the body is JSON alone. */
  readonly jsonBytes: number | null
}

/** Ends work that nobody waits for any more. */
export interface Cancellation {
  /** On the monotonic clock of `performance.now()`, milliseconds; an answer after it is of no use. */
  readonly deadline: number
  readonly aborted: boolean
  /** Calls back once, at the deadline or when the client goes away; at once if that was. */
  onEnd(listener: () => void): void
  offEnd(listener: () => void): void
}

/** One inference. The tensors were checked against the model's specs. */
export interface InferCall {
  readonly model: string
  readonly version: string
  readonly pool: string
  readonly inputs: readonly Tensor[]
  /** Size of the batch dimension. */
  readonly items: number
  /** Names of the outputs asked for, all of them known; never empty. */
  readonly outputs: readonly string[]
  /** As it came, for pools that forward it. */
  readonly raw: RawInference
  /** For pools that forward: W3C trace context and the like, lower-case names. */
  readonly headers: Readonly<Record<string, string>>
  readonly cancellation: Cancellation
}

export interface Inference {
  /**
   * The outputs asked for, in that order. What an upstream answered is decoded when first asked for: throws
   * `UPSTREAM_FAILED` where that cannot be read.
   */
  tensors(): readonly Tensor[]
  /** The answer as it came, where it can be passed on as it is; null where the model ran here. */
  readonly raw: RawInference | null
  /** The endpoint that answered; null where the model ran here. */
  readonly endpoint: string | null
  readonly queueMs: number
}

/** Counts of a model version since it was first loaded, nanoseconds as Triton's statistics have them. */
export interface ModelStatistics {
  /** Milliseconds since the epoch; 0 before the first. */
  readonly lastInference: number
  /** Items answered, and runs that it took. */
  readonly inferenceCount: number
  readonly executionCount: number
  readonly success: Duration
  readonly fail: Duration
  readonly queue: Duration
  readonly compute: Duration
  /** By batch size, ascending. */
  readonly batches: readonly { readonly size: number; readonly compute: Duration }[]
  /** Bytes of weights in memory, over all pools; 0 while it is evicted. */
  readonly memoryBytes: number
}

export interface Duration {
  readonly count: number
  readonly ns: number
}

export interface TensorRuntime extends Runtime {
  /** The backend in use: `tensorflow-gpu`, `tensorflow`, `webgpu` or `wasm`; `none` where no pool runs models here. */
  readonly backend: string
  infer(call: InferCall): Promise<Inference>
  /** Undefined for what runs elsewhere. */
  statistics(model: string, version: string): ModelStatistics | undefined
  /** Bytes held by tensors, as of some seconds ago at most. */
  tensorBytes(): number
}

/** What is asked of a language model: a request of the OpenAI API that was checked against the model's bounds. */
export interface TextCall {
  readonly operation: Exclude<Operation, 'infer'>
  readonly model: string
  readonly version: string
  readonly pool: string
  /** The request's body as parsed, with the model's defaults and bounds applied. */
  readonly request: Readonly<Record<string, unknown>>
  /** The same as bytes, to be forwarded: the client's own where nothing had to be changed. */
  readonly body: Uint8Array
  readonly stream: boolean
  readonly headers: Readonly<Record<string, string>>
  readonly cancellation: Cancellation
}

/**
 * An answer in the format of the OpenAI API: a JSON body, or server-sent events ending with `[DONE]`.
 *
 * Status 200 is an answer; 4xx is the upstream's refusal of this request, to be passed on. Anything else was thrown instead.
 */
export interface TextAnswer {
  readonly status: number
  readonly contentType: string
  /** Iterating throws `UPSTREAM_FAILED` or `UPSTREAM_TIMEOUT` where it breaks off. Must be iterated, or returned. */
  readonly body: AsyncIterable<Uint8Array>
  readonly endpoint: string | null
  readonly queueMs: number
}

export interface TextRuntime extends Runtime {
  generate(call: TextCall): Promise<TextAnswer>
}

/** The part of a fingerprint event that comes from the input and the answer. */
export type Fingerprint = Omit<
  FingerprintEvent,
  | 'request'
  | 'index'
  | 'principal'
  | 'organization'
  | 'keyId'
  | 'model'
  | 'version'
  | 'node'
  | 'hardening'
  | 'answered'
  | 'client'
  | 'agent'
  | 'keyCreatedAt'
>

/** An input's fingerprint but for what the model says; takes one row of probabilities, once or more. */
export type Impression = (output: Float32Array) => Fingerprint

export interface Fingerprinter {
  /**
   * The part that needs no answer, nearly all of it, so that it can be had while the model is at work. Keeps nothing of the input.
   *
   * @param input one item in the model's input range, row-major, e.g. 784 values
   */
  begin(input: Float32Array): Impression
  /** Both parts at once. */
  fingerprint(input: Float32Array, output: Float32Array): Fingerprint
}

/** One message of a prompt. Roles are the API's, `prompt` for a text without one, and `tools` for what offers tools and formats. */
export interface PromptMessage {
  readonly role: string
  readonly text: string
}

/** The part of a prompt event that comes from the text alone. */
export type PromptFingerprint = Pick<PromptEvent, 'epoch' | 'exact' | 'system' | 'bytes' | 'messages' | 'chunks' | 'surprise' | 'learned'>

export interface PromptFingerprinter {
  /** @param principal who asks: one teaches a bounded share of what the model is ordinarily asked */
  fingerprint(model: string, messages: readonly PromptMessage[], principal: string): PromptFingerprint
  /** Keyed 64-bit hash, 16 hex digits. */
  hashOf(text: string): string
}

export function summarise(output: Float32Array): OutputSummary {
  let label = 0
  let first = -1
  let second = -1
  let entropy = 0
  for (let i = 0; i < output.length; i++) {
    const p = output[i] ?? 0
    if (p > first) {
      second = first
      first = p
      label = i
    } else if (p > second) second = p
    if (p > 0) entropy -= p * Math.log(p)
  }
  const clamp = (x: number) => Math.min(1, Math.max(0, x))
  return { label, confidence: clamp(first), margin: clamp(first - Math.max(0, second)), entropy: Math.max(0, entropy) }
}
