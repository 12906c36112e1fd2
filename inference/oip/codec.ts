import type { RawInference, Tensor } from '../port.ts'
import type { Range } from './datatype.ts'
import { type CodecLimits, checkSizes, headersOf, openAnswer, openRequest, type TensorHeader } from './envelope.ts'
import { OipError } from './errors.ts'
import { readBinary } from './read-binary.ts'
import { readJson } from './read-json.ts'
import { writeBinary, writeJson } from './write.ts'

export type Parameters = Readonly<Record<string, unknown>>

/** What says something of its own beside what the protocol gives a meaning, such as a `content_type`: servers read some of it. */
interface Described {
  /** Left out where it says nothing. */
  readonly parameters?: Parameters
}

export interface RequestInput extends Tensor, Described {}

/** An output that a request asks for. */
export interface WantedOutput extends Described {
  readonly name: string
  /** In binary data, as it or the whole request says. */
  readonly binary: boolean
  /** Triton's classification: so many of the largest values as text; 0 for the values themselves. */
  readonly classes: number
}

export interface OipRequest {
  readonly id: string | null
  /** KServe's client names the model in the body too. */
  readonly modelName?: string
  readonly modelVersion?: string
  readonly parameters: Parameters
  readonly inputs: readonly RequestInput[]
  /** Empty where the request names none, and means all of them. */
  readonly outputs: readonly WantedOutput[]
  /** Whether outputs that are not named are to be in binary data. */
  readonly binary: boolean
}

export interface OipAnswer {
  readonly id: string | null
  readonly modelName: string
  readonly modelVersion: string | null
  readonly parameters: Parameters
  readonly tensors: readonly Tensor[]
}

/**
 * Sees how the inputs are described before any of their data is read, and says which values each may have.
 * Throws where they do not fit.
 */
export type Admit = (inputs: readonly TensorHeader[]) => readonly (Range | undefined)[]

/** @throws OipError, each of its codes; and whatever `admit` throws */
export function decodeRequest(raw: RawInference, limits: CodecLimits, admit?: Admit): OipRequest {
  const { id, model_name, model_version, parameters, inputs, outputs } = openRequest(raw)
  const headers = headersOf(raw, inputs, 'inputs', limits)
  if (outputs != null && outputs.length > limits.maxTensors) throw new OipError('TOO_LARGE', `outputs: at most ${limits.maxTensors}`)
  const binary = flagOf(parameters ?? {}, 'binary_data_output', false, 'parameters')
  const wanted = (outputs ?? []).map((output, index) => wantedOutput(output.name, output.parameters ?? {}, binary, index))
  const ranges = admit?.(headers) ?? []
  checkSizes(raw, headers, limits)
  const tensors = headers.map((header, index) =>
    described(tensorOf(header, ranges[index], true, limits), inputs[index]?.parameters, ofInputs),
  )
  const request = { id: id ?? null, parameters: parameters ?? {}, inputs: tensors, outputs: wanted, binary }
  if (model_name == null && model_version == null) return request
  return {
    ...request,
    ...(model_name == null ? {} : { modelName: model_name }),
    ...(model_version == null ? {} : { modelVersion: model_version }),
  }
}

/** @throws OipError, each of its codes. Floats of binary data may be infinite, or NaN. */
export function decodeAnswer(raw: RawInference, limits: CodecLimits): OipAnswer {
  const { id, model_name, model_version, parameters, outputs } = openAnswer(raw)
  const headers = headersOf(raw, outputs, 'outputs', limits)
  checkSizes(raw, headers, limits)
  const tensors = headers.map((header) => tensorOf(header, undefined, false, limits))
  return { id: id ?? null, modelName: model_name ?? '', modelVersion: model_version ?? null, parameters: parameters ?? {}, tensors }
}

/**
 * @param binary whether the data of an output goes after the JSON
 * @param decimals digits after the point that JSON shows of a float; undefined for all of them
 * @throws OipError `VALUE_INVALID` where JSON does not have a value
 */
export function encodeAnswer(answer: OipAnswer, binary: (name: string) => boolean, decimals?: number): RawInference {
  const { id, modelName, modelVersion, parameters, tensors } = answer
  const fields = [`"model_name":${JSON.stringify(modelName)}`]
  if (modelVersion !== null) fields.push(`"model_version":${JSON.stringify(modelVersion)}`)
  if (id !== null) fields.push(`"id":${JSON.stringify(id)}`)
  if (!isEmpty(parameters)) fields.push(`"parameters":${JSON.stringify(parameters)}`)
  return assemble(fields, 'outputs', tensors, binary, decimals)
}

/** A request of our own, where the client's cannot be passed on as it is: what it said beside its tensors is in it. */
export function encodeRequest(request: OipRequest, binary: (name: string) => boolean): RawInference {
  const { id, modelName, modelVersion, inputs, outputs } = request
  const parameters = request.binary ? { ...request.parameters, binary_data_output: true } : request.parameters
  const fields = id === null ? [] : [`"id":${JSON.stringify(id)}`]
  if (modelName !== undefined) fields.push(`"model_name":${JSON.stringify(modelName)}`)
  if (modelVersion !== undefined) fields.push(`"model_version":${JSON.stringify(modelVersion)}`)
  if (!isEmpty(parameters)) fields.push(`"parameters":${JSON.stringify(parameters)}`)
  if (outputs.length > 0) fields.push(`"outputs":${JSON.stringify(outputs.map(wantedFields))}`)
  return assemble(fields, 'inputs', inputs, binary, undefined)
}

function wantedFields({ name, binary, classes, parameters }: WantedOutput): object {
  return { name, parameters: { ...parameters, binary_data: binary, ...(classes === 0 ? {} : { classification: classes }) } }
}

function assemble(
  fields: string[],
  field: string,
  tensors: readonly RequestInput[],
  binary: (name: string) => boolean,
  decimals: number | undefined,
): RawInference {
  const parts: Uint8Array[] = []
  const written = tensors.map((tensor) => {
    const { name, datatype, shape, parameters } = tensor
    const head = `{"name":${JSON.stringify(name)},"datatype":"${datatype}","shape":[${shape.join(',')}]`
    if (!binary(name)) {
      const said = parameters === undefined ? '' : `,"parameters":${JSON.stringify(parameters)}`
      return `${head}${said},"data":${writeJson(tensor, decimals)}}`
    }
    const bytes = writeBinary(tensor)
    parts.push(bytes)
    return `${head},"parameters":${JSON.stringify({ ...parameters, binary_data_size: bytes.length })}}`
  })
  const json = Buffer.from(`{${[...fields, `"${field}":[${written.join(',')}]`].join(',')}}`)
  return parts.length === 0 ? { body: json, jsonBytes: null } : { body: Buffer.concat([json, ...parts]), jsonBytes: json.length }
}

function wantedOutput(name: string, parameters: Parameters, binary: boolean, index: number): WantedOutput {
  const where = `outputs[${index}].parameters`
  if (parameters['shared_memory_region'] !== undefined) throw new OipError('FIELD_INVALID', `${where}: shared memory is not offered`)
  const classes = parameters['classification'] ?? 0
  if (typeof classes !== 'number' || !Number.isSafeInteger(classes) || classes < 0)
    throw new OipError('FIELD_INVALID', `${where}.classification: expected a number of classes`)
  return described({ name, binary: flagOf(parameters, 'binary_data', binary, where), classes }, parameters, ofOutputs)
}

/** What the protocol gives a meaning: it is read, and written anew. */
const ofInputs: ReadonlySet<string> = new Set(['binary_data_size'])
const ofOutputs: ReadonlySet<string> = new Set(['binary_data', 'classification'])

/** The same object where nothing else was said of it. */
function described<T extends object>(read: T, parameters: Parameters | null | undefined, known: ReadonlySet<string>): T & Described {
  if (parameters == null) return read
  const said = Object.entries(parameters).filter(([name]) => !known.has(name))
  return said.length === 0 ? read : { ...read, parameters: Object.fromEntries(said) }
}

function flagOf(parameters: Parameters, name: string, otherwise: boolean, where: string): boolean {
  const value = parameters[name] ?? otherwise
  if (typeof value !== 'boolean') throw new OipError('FIELD_INVALID', `${where}.${name}: expected true or false`)
  return value
}

function tensorOf(header: TensorHeader, range: Range | undefined, strict: boolean, limits: CodecLimits): Tensor {
  const { name, datatype, shape, bytes, json } = header
  const reading = { ...header, range }
  const data = bytes === null ? readJson(json ?? [], reading) : readBinary(bytes, reading, strict)
  if (!ArrayBuffer.isView(data) && data.reduce((sum, { length }) => sum + length, 0) > limits.maxBytes)
    throw new OipError('TOO_LARGE', `${header.where}: more bytes than one message may hold`)
  return { name, datatype, shape, data }
}

function isEmpty(parameters: Parameters): boolean {
  for (const _ in parameters) return false
  return true
}
