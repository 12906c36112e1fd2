import { z } from 'zod'
import type { ModelInfo, TensorSpec } from '../../port.ts'
import { Refusal } from '../refusal.ts'

const Parameters = z.record(z.string().max(64), z.unknown()).optional()

/** The envelope of an inference request; tensors' data are checked by hand, number by number. */
const Envelope = z.object({
  id: z.string().max(128).optional(),
  parameters: Parameters,
  inputs: z
    .array(
      z.object({
        name: z.string().max(128),
        shape: z.array(z.int().min(0)).min(1).max(16),
        datatype: z.string().max(16),
        parameters: Parameters,
        // Not z.array: it would look at each of a hundred thousand numbers, and so do we, once.
        data: z.custom<readonly unknown[]>(Array.isArray, 'expected an array'),
      }),
    )
    .min(1)
    .max(16),
  outputs: z
    .array(z.object({ name: z.string().max(128), parameters: Parameters }))
    .max(16)
    .optional(),
})

export interface InferRequest {
  readonly id: string | undefined
  /** `[items, …shape]`, row-major, each value finite and in the model's range. */
  readonly tensor: { readonly name: string; readonly datatype: 'FP32'; readonly shape: readonly number[]; readonly data: Float32Array }
  readonly items: number
  readonly outputs: readonly TensorSpec[]
}

/**
 * Reads the body of an inference request for a model.
 *
 * @throws Refusal `INPUT_INVALID`, with a message that says where; it never repeats the input
 */
export function readInferRequest(body: unknown, model: ModelInfo, maxItems: number): InferRequest {
  const parsed = Envelope.safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    throw invalid(`${issue === undefined ? 'body' : pathOf(issue.path)}: ${issue?.message ?? 'unreadable'}`)
  }
  const { id, inputs, outputs } = parsed.data
  const [spec] = model.inputs
  const [tensor] = inputs
  if (spec === undefined || spec.datatype !== 'FP32') throw new Refusal('NOT_FOUND', 'The model cannot be asked like this.')
  if (inputs.length !== 1 || tensor?.name !== spec.name) throw invalid(`inputs: the model takes one input, ${spec.name}`)
  if (tensor.datatype !== spec.datatype) throw invalid(`inputs[0].datatype: ${spec.name} is ${spec.datatype}`)
  const items = itemsOf(tensor.shape, spec, maxItems)
  const data = readData(tensor.data, tensor.shape, spec.range ?? [-Number.MAX_VALUE, Number.MAX_VALUE])
  return { id, tensor: { name: spec.name, datatype: 'FP32', shape: tensor.shape, data }, items, outputs: selectOutputs(outputs, model) }
}

function itemsOf(shape: readonly number[], spec: TensorSpec, maxItems: number): number {
  const fits = shape.length === spec.shape.length && shape.every((size, axis) => axis === 0 || size === spec.shape[axis])
  if (!fits) throw invalid(`inputs[0].shape: ${spec.name} has the shape [${spec.shape.join(', ')}], where -1 is the number of items`)
  const items = shape[0] ?? 0
  if (items < 1 || items > maxItems) throw invalid(`inputs[0].shape: a request has 1 to ${maxItems} items`)
  return items
}

function selectOutputs(wanted: readonly { name: string }[] | undefined, model: ModelInfo): readonly TensorSpec[] {
  if (wanted === undefined || wanted.length === 0) return model.outputs
  const known = model.outputs.map(({ name }) => name)
  if (wanted.some(({ name }) => !known.includes(name))) throw invalid(`outputs: the model has ${known.join(', ')}`)
  return model.outputs.filter(({ name }) => wanted.some((one) => one.name === name))
}

/** Data may be flat, or nested as the shape says; nothing between. */
function readData(data: readonly unknown[], shape: readonly number[], range: readonly [number, number]): Float32Array {
  const size = shape.reduce((product, length) => product * length, 1)
  const values = new Float32Array(size)
  const depth = Array.isArray(data[0]) ? 0 : shape.length - 1
  const end = fill(values, 0, data, depth === 0 ? shape : [size], 0, range)
  if (end !== size) throw invalid(`inputs[0].data: the shape says ${size} values`)
  return values
}

function fill(
  values: Float32Array,
  at: number,
  data: readonly unknown[],
  shape: readonly number[],
  axis: number,
  range: readonly [number, number],
): number {
  if (data.length !== shape[axis]) throw invalid(`inputs[0].data: the shape says ${shape[axis]} values in dimension ${axis}`)
  if (axis === shape.length - 1) return fillRow(values, at, data, range)
  let next = at
  for (const part of data) {
    if (!Array.isArray(part)) throw invalid(`inputs[0].data: expected an array in dimension ${axis}`)
    next = fill(values, next, part, shape, axis + 1, range)
  }
  return next
}

function fillRow(values: Float32Array, at: number, row: readonly unknown[], [low, high]: readonly [number, number]): number {
  for (let i = 0; i < row.length; i++) {
    const value = row[i]
    // Written so that NaN fails too.
    if (typeof value !== 'number' || !(value >= low && value <= high))
      throw invalid(`inputs[0].data: value ${at + i} is not a number from ${low} to ${high}`)
    values[at + i] = value
  }
  return at + row.length
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? 'body' : path.map(String).join('.').slice(0, 128)
}

function invalid(message: string): Refusal {
  return new Refusal('INPUT_INVALID', message)
}
