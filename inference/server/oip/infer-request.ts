import { decodeRequest, type OipRequest, type RequestInput } from '../../oip/codec.ts'
import type { CodecLimits, TensorHeader } from '../../oip/envelope.ts'
import { OipError } from '../../oip/errors.ts'
import type { ModelInfo, RawInference, TensorSpec } from '../../port.ts'
import type { NodeLimits } from '../options.ts'
import { Refusal } from '../refusal.ts'

/** More than any model has; a request is bounded by its body anyway. */
const maxTensors = 64

export interface InferRequest {
  readonly raw: RawInference
  readonly asked: OipRequest
  /** In the model's order. */
  readonly inputs: readonly RequestInput[]
  /** Names of those that came in binary data. */
  readonly binary: readonly string[]
  readonly items: number
  /** In the request's order, or the model's; never empty. */
  readonly outputs: OipRequest['outputs']
}

/**
 * Reads the body of an inference request for a model.
 *
 * @throws Refusal `MALFORMED`, or `INPUT_INVALID` with a message that says where; it never repeats the input
 */
export function readInferRequest(raw: RawInference, model: ModelInfo, { maxItems, maxBodyBytes }: NodeLimits): InferRequest {
  if (!model.operations.includes('infer')) throw new Refusal('NOT_FOUND', 'The model cannot be asked like this.')
  // What JSON says in two characters takes eight bytes as FP64.
  const limits: CodecLimits = { maxTensors, maxBytes: 4 * maxBodyBytes }
  let items = 1
  let binary: readonly string[] = []
  try {
    const asked = decodeRequest(raw, limits, (headers) => {
      const specs = specsOf(headers, model)
      items = itemsOf(headers, specs, maxItems)
      binary = headers.filter(({ bytes }) => bytes !== null).map(({ name }) => name)
      return specs.map((spec) => spec?.range)
    })
    return { raw, asked, inputs: inOrder(asked.inputs, model), binary, items, outputs: selectOutputs(asked, model) }
  } catch (error) {
    if (!(error instanceof OipError)) throw error
    throw new Refusal(error.code === 'MALFORMED' ? 'MALFORMED' : 'INPUT_INVALID', error.message, { cause: error })
  }
}

/** What the model says of each input; undefined where it says nothing of its inputs at all, as some upstreams do. */
function specsOf(headers: readonly TensorHeader[], { inputs: specs }: ModelInfo): readonly (TensorSpec | undefined)[] {
  const names = new Set(headers.map(({ name }) => name))
  if (specs.length === 0) {
    if (names.size !== headers.length) throw invalid('inputs: one of them comes twice')
    return headers.map(() => undefined)
  }
  if (headers.length !== specs.length || specs.some(({ name }) => !names.has(name))) {
    const taken = specs.length === 1 ? 'one input' : `${specs.length} inputs`
    throw invalid(`inputs: the model takes ${taken}, ${specs.map(({ name }) => name).join(', ')}`)
  }
  return headers.map((header) => {
    const spec = specs.find(({ name }) => name === header.name)
    if (spec !== undefined) checkHeader(header, spec)
    return spec
  })
}

function checkHeader({ where, datatype, shape }: TensorHeader, spec: TensorSpec): void {
  if (datatype !== spec.datatype) throw invalid(`${where}.datatype: ${spec.name} is ${spec.datatype}`)
  const fits = shape.length === spec.shape.length && shape.every((size, axis) => fitsAxis(size, spec.shape[axis], axis))
  if (!fits) throw invalid(`${where}.shape: ${spec.name} has the shape [${spec.shape.join(', ')}], where -1 is the number of items`)
}

/** The batch is counted for itself. */
function fitsAxis(size: number, declared: number | undefined, axis: number): boolean {
  return declared === -1 ? axis === 0 || size > 0 : size === declared
}

/** Size of the batch dimension, the first where it is free; one item where no input has one. */
function itemsOf(headers: readonly TensorHeader[], specs: readonly (TensorSpec | undefined)[], maxItems: number): number {
  let items: number | undefined
  for (const [index, { where, shape }] of headers.entries()) {
    const spec = specs[index]
    const [size] = shape
    if (size === undefined || (spec !== undefined && spec.shape[0] !== -1)) continue
    if (size < 1 || size > maxItems) throw invalid(`${where}.shape: a request has 1 to ${maxItems} items`)
    if (spec !== undefined && items !== undefined && size !== items) throw invalid(`${where}.shape: all inputs have as many items`)
    items ??= size
  }
  return items ?? 1
}

function inOrder(inputs: OipRequest['inputs'], { inputs: specs }: ModelInfo): OipRequest['inputs'] {
  if (specs.length <= 1) return inputs
  return specs.flatMap(({ name }) => inputs.find((input) => input.name === name) ?? [])
}

function selectOutputs({ outputs, binary }: OipRequest, model: ModelInfo): OipRequest['outputs'] {
  const known = model.outputs.map(({ name }) => name)
  if (outputs.length === 0) return known.map((name) => ({ name, binary, classes: 0 }))
  if (known.length > 0 && outputs.some(({ name }) => !known.includes(name))) throw invalid(`outputs: the model has ${known.join(', ')}`)
  if (new Set(outputs.map(({ name }) => name)).size !== outputs.length) throw invalid('outputs: one of them comes twice')
  return outputs
}

function invalid(message: string): Refusal {
  return new Refusal('INPUT_INVALID', message)
}
