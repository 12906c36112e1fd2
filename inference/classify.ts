import { performance } from 'node:perf_hooks'
import { RequestCancellation } from './cancellation.ts'
import { InferenceError } from './errors.ts'
import type { InferCall, TensorRuntime } from './port.ts'

export interface Question {
  readonly model: string
  readonly version: string
  readonly pool: string
}

/** The call for a model with one FP32 input, of all its outputs. */
export function callOf(
  runtime: Pick<TensorRuntime, 'info'>,
  { model, version, pool }: Question,
  input: Float32Array,
  items: number,
): InferCall {
  const info = runtime.info(model, version)
  const [spec] = info?.inputs ?? []
  const cancellation = new RequestCancellation(performance.now() + 600_000)
  const shape = [items, ...(spec?.shape ?? []).slice(1)]
  const name = spec?.name ?? 'input'
  // What runs elsewhere gets the request as a client would write it; here nobody reads it.
  const raw = {
    jsonBytes: null,
    get body() {
      return Buffer.from(JSON.stringify({ inputs: [{ name, datatype: 'FP32', shape, data: [...input] }] }))
    },
  }
  return {
    model,
    version,
    pool,
    inputs: [{ name, datatype: 'FP32', shape, data: input }],
    items,
    outputs: info?.outputs.map(({ name }) => name) ?? ['output'],
    raw,
    headers: {},
    cancellation,
  }
}

/**
 * Asks a classifier without a node around it, as training and measurements do.
 *
 * @param input `[items, …shape]`, row-major
 * @returns `[items, classes]`: the first output
 */
export async function classify(runtime: TensorRuntime, question: Question, input: Float32Array, items: number): Promise<Float32Array> {
  const inference = await runtime.infer(callOf(runtime, question, input, items))
  const data = inference.tensors()[0]?.data
  if (data instanceof Float32Array) return data
  throw new InferenceError('INFERENCE_FAILED', `${question.model} answered with something else than FP32`)
}
