import type { FingerprintEvent, OutputSummary } from '../schemas/index.ts'

/** A tensor of the Open Inference Protocol as a model declares it; -1 is the batch dimension. */
export interface TensorSpec {
  readonly name: string
  readonly datatype: 'FP32'
  readonly shape: readonly number[]
}

export interface ModelInfo {
  readonly name: string
  readonly version: string
  readonly platform: string
  readonly inputs: readonly [TensorSpec]
  readonly outputs: readonly [TensorSpec]
  /** Bounds of the input's values, inclusive. */
  readonly range: readonly [number, number]
  readonly labels: readonly string[]
  /** Digest of weights and topology, `sha256:…`, checked when it was loaded. */
  readonly digest: string
}

export interface Inference {
  /** `[items, classes]`, row-major. */
  readonly output: Float32Array
  readonly queueMs: number
}

/** Runs models. Errors: `InferenceErrorCode` (inference/errors.ts). */
export interface ModelRuntime {
  /** The backend in use and where it came from: `tensorflow-gpu`, `tensorflow` or `wasm`. */
  readonly backend: string
  list(): readonly ModelInfo[]
  /** Undefined when there is no such model or version. */
  info(model: string, version: string): ModelInfo | undefined
  /** @param input `[items, …shape]` row-major, already checked against the spec */
  infer(model: string, version: string, pool: string, input: Float32Array, items: number): Promise<Inference>
  /** Requests waiting or running in a pool. */
  depth(pool: string): number
  /** Bytes held by tensors now. */
  tensorBytes(): number
  close(): Promise<void>
}

/** The part of a fingerprint event that comes from the input and the answer. */
export type Fingerprint = Omit<
  FingerprintEvent,
  'request' | 'index' | 'principal' | 'organization' | 'keyId' | 'model' | 'version' | 'node'
>

export interface Fingerprinter {
  /**
   * @param input one item in the model's input range, row-major, e.g. 784 values
   * @param output one row of probabilities
   */
  fingerprint(input: Float32Array, output: Float32Array): Fingerprint
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
