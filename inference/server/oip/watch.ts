import type { Logger } from 'pino'
import { InferenceError } from '../../errors.ts'
import type { Fingerprint, Fingerprinter, Impression, Inference, ModelInfo, Tensor, TensorData } from '../../port.ts'
import type { NodeMetrics } from '../metrics.ts'
import type { InferRequest } from './infer-request.ts'

/** Probabilities of one answer. */
export interface Probabilities {
  readonly data: Float32Array
  readonly classes: number
}

/** The output that probabilities are expected in: the first, if it is FP32 of two dimensions. */
export function probabilitiesOutput({ outputs }: ModelInfo): string | undefined {
  const [first] = outputs
  return first !== undefined && first.datatype === 'FP32' && first.shape.length === 2 ? first.name : undefined
}

/** `[items, classes]` of FP32; null for any other tensor. */
export function probabilitiesOf({ shape, data }: Tensor, items: number): Probabilities | null {
  if (!(data instanceof Float32Array) || shape.length !== 2 || shape[0] !== items) return null
  const classes = data.length / items
  return classes >= 1 && classes === shape[1] ? { data, classes } : null
}

/**
 * Reads the probabilities of a model that is watched, or names its classes.
 *
 * @throws InferenceError `INFERENCE_FAILED` or `UPSTREAM_FAILED` where the answer has none, or something that is no number
 */
export function readProbabilities(model: ModelInfo, inference: Inference, output: string, items: number): Probabilities {
  const tensor = inference.tensors().find(({ name }) => name === output)
  const probabilities = tensor === undefined ? null : probabilitiesOf(tensor, items)
  if (probabilities === null || !allFinite(probabilities.data)) {
    const code = inference.raw === null ? 'INFERENCE_FAILED' : 'UPSTREAM_FAILED'
    throw new InferenceError(code, `${model.name} answered with something else than finite FP32 for each item and class`)
  }
  return probabilities
}

function allFinite(data: Float32Array): boolean {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return false
  return true
}

/** Mean of the top class, which is what events call confidence. */
export function confidenceOf({ data, classes }: Probabilities): number {
  let sum = 0
  for (let row = 0; row < data.length; row += classes) {
    let top = 0
    for (let i = row; i < row + classes; i++) top = Math.max(top, data[i] ?? 0)
    sum += top
  }
  return Math.min(1, (sum * classes) / data.length)
}

export interface Watch {
  readonly metrics: NodeMetrics
  readonly log: Logger
}

/** One of each item; undefined for those that leave none. */
export type Impressions = readonly (Impression | undefined)[]

/** Looks at the inputs, while the model is at work on them. */
export function look(watch: Watch, fingerprinter: Fingerprinter, { inputs, items }: InferRequest, model: ModelInfo): Impressions {
  const given = inputs[0]?.data
  const input = given === undefined ? null : floatsOf(given)
  if (input === null) return []
  const width = input.length / items
  return Array.from({ length: items }, (_, item) =>
    unlessItFails(watch, model, () => fingerprinter.begin(input.subarray(item * width, (item + 1) * width))),
  )
}

/** Fingerprints come from what the model said, not from what the client is shown. */
export function fingerprintsOf(
  watch: Watch,
  impressions: Impressions,
  { data, classes }: Probabilities,
  model: ModelInfo,
): readonly Fingerprint[] {
  return impressions.flatMap((impression, item) => {
    const row = data.subarray(item * classes, (item + 1) * classes)
    return (impression && unlessItFails(watch, model, () => impression(row))) ?? []
  })
}

/** What leaves no fingerprint costs no answer. */
function unlessItFails<T>({ metrics, log }: Watch, { name: model }: ModelInfo, work: () => T): T | undefined {
  try {
    return work()
  } catch (error) {
    metrics.fingerprintFailed()
    log.error({ err: error, model }, 'node: an input left no fingerprint')
    return undefined
  }
}

/** Reused from request to request: a fingerprint keeps nothing of its input. */
let converted = new Float32Array(0)
/** A larger input's floats are not kept. */
const mostKept = 2 ** 20

/** The numbers of a tensor as FP32, in a buffer that the next call writes over; null where they are none, as text. */
export function floatsOf(data: TensorData): Float32Array | null {
  if (data instanceof Float32Array) return data
  if (!ArrayBuffer.isView(data)) return null
  if (data.length > mostKept) return Float32Array.from(data, Number)
  if (converted.length < data.length) converted = new Float32Array(data.length)
  const floats = converted.subarray(0, data.length)
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) for (let i = 0; i < data.length; i++) floats[i] = Number(data[i])
  else floats.set(data)
  return floats
}
