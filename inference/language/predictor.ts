import { InferenceError } from '../errors.ts'
import type { Cancellation, Inference, ModelInfo, TensorRuntime } from '../port.ts'
import { vocabularySize } from './vocabulary.ts'

export interface Place {
  readonly info: ModelInfo
  readonly pool: string
  readonly cancellation: Cancellation
}

/** A language model as its tensors show it. */
export interface Dimensions {
  readonly window: number
  readonly hidden: number
}

const empty = new Uint8Array(0)

/** @throws InferenceError `MODEL_CORRUPT` where it is not what a language model is */
export function dimensionsOf({ name, version, inputs, outputs }: ModelInfo): Dimensions {
  const tokens = inputs.find((spec) => spec.name === 'tokens' && spec.datatype === 'INT32')
  const logits = outputs.find((spec) => spec.name === 'logits' && spec.datatype === 'FP32')
  const hidden = outputs.find((spec) => spec.name === 'hidden' && spec.datatype === 'FP32')
  const window = tokens?.shape[1] ?? 0
  const units = hidden?.shape[1] ?? 0
  if (inputs.length === 1 && window > 0 && units > 0 && logits?.shape[1] === vocabularySize) return { window, hidden: units }
  throw new InferenceError(
    'MODEL_CORRUPT',
    `${name} ${version} is no language model: it must take INT32 tokens [-1, n] and give FP32 logits [-1, ${vocabularySize}] and hidden [-1, n]`,
  )
}

/** Runs the model over windows; the runtime merges those of many answers into one run. */
export class Predictor {
  readonly window: number
  /** How long the first run waited. */
  queueMs = 0
  readonly #runtime: TensorRuntime
  readonly #place: Place
  #runs = 0

  constructor(runtime: TensorRuntime, place: Place) {
    this.#runtime = runtime
    this.#place = place
    this.window = dimensionsOf(place.info).window
  }

  /**
   * @param windows `[items, window]` tokens
   * @returns `[items, …]` of that output, row-major
   * @throws InferenceError as the runtime does, and `CANCELLED` before it is asked
   */
  async run(windows: Int32Array, items: number, output: 'logits' | 'hidden'): Promise<Float32Array> {
    const { info, pool, cancellation } = this.#place
    if (cancellation.aborted) throw new InferenceError('CANCELLED', 'Nobody waits for this answer any more')
    const inference = await this.#runtime.infer({
      model: info.name,
      version: info.version,
      pool,
      inputs: [{ name: 'tokens', datatype: 'INT32', shape: [items, this.window], data: windows }],
      items,
      outputs: [output],
      raw: { body: empty, jsonBytes: null },
      headers: {},
      cancellation,
    })
    if (this.#runs++ === 0) this.queueMs = inference.queueMs
    return valuesOf(inference)
  }
}

function valuesOf(inference: Inference): Float32Array {
  const data = inference.tensors()[0]?.data
  if (data instanceof Float32Array) return data
  throw new InferenceError('INFERENCE_FAILED', 'The language model did not give FP32 values')
}
