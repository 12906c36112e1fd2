import { isUtf8 } from 'node:buffer'
import { z } from 'zod'
import { namesIn, shapeOf } from '../json-scan.ts'
import { parseJson } from '../parse-json.ts'
import type { Datatype, RawInference } from '../port.ts'
import { heldBytes, isDatatype } from './datatype.ts'
import { OipError } from './errors.ts'

/** What one message may hold. */
export interface CodecLimits {
  readonly maxTensors: number
  /** Bytes of all tensors as they are held in memory; a string counts 64 and its own. */
  readonly maxBytes: number
}

/** A tensor as its message describes it; its size was checked, and nothing of its data was read. */
export interface TensorHeader {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /** Product of the shape. */
  readonly size: number
  /** Where it stands in the message: `inputs[0]`. */
  readonly where: string
  /** Its JSON, or null where it is bytes. */
  readonly json: readonly unknown[] | null
  readonly bytes: Uint8Array | null
}

const maxRank = 16
const Name = z.string().max(256)
/** Parameters are the protocol's way to extend it: any are taken, and few are understood. */
const Parameters = z.record(z.string().max(256), z.unknown()).nullish()

const TensorFields = z.object({
  name: Name,
  shape: z.array(z.int().min(0)).max(maxRank),
  datatype: z.string().max(16),
  parameters: Parameters,
  // Not z.array: it would look at each of a hundred thousand numbers, and so do we, once.
  data: z.custom<readonly unknown[]>(Array.isArray, 'expected an array').nullish(),
})
type TensorFields = z.infer<typeof TensorFields>

/** Strict, since what is not known could not be looked at, and servers may read it. */
const RequestFields = z.strictObject({
  id: z.string().max(128).nullish(),
  model_name: Name.nullish(),
  model_version: Name.nullish(),
  parameters: Parameters,
  inputs: z.array(z.strictObject(TensorFields.shape)).min(1),
  outputs: z.array(z.strictObject({ name: Name, parameters: Parameters })).nullish(),
})

const AnswerFields = z.object({
  id: z.string().max(256).nullish(),
  model_name: Name.nullish(),
  model_version: Name.nullish(),
  parameters: Parameters,
  outputs: z.array(TensorFields),
})

export type RequestEnvelope = z.infer<typeof RequestFields>
export type AnswerEnvelope = z.infer<typeof AnswerFields>

export function openRequest(raw: RawInference): RequestEnvelope {
  const json = jsonOf(raw)
  checkNames(raw, json)
  return check(RequestFields, json)
}

export function openAnswer(raw: RawInference): AnswerEnvelope {
  return check(AnswerFields, jsonOf(raw))
}

/** Gives each tensor its JSON, or its part of the bytes after the JSON; nothing of either is read. */
export function headersOf(raw: RawInference, tensors: readonly TensorFields[], field: string, limits: CodecLimits): TensorHeader[] {
  if (tensors.length > limits.maxTensors) throw new OipError('TOO_LARGE', `${field}: at most ${limits.maxTensors}`)
  const headers: TensorHeader[] = []
  let at = raw.jsonBytes ?? raw.body.length
  for (const [index, tensor] of tensors.entries()) {
    const where = `${field}[${index}]`
    const { name, datatype, shape } = tensor
    if (!isDatatype(datatype)) throw new OipError('DATATYPE_UNSUPPORTED', `${where}.datatype: BOOL, BYTES, and the INT, UINT and FP types`)
    const size = sizeOf(shape)
    const length = binaryLength(tensor, where)
    if (length === null) {
      headers.push({ name, datatype, shape, size, where, json: tensor.data ?? [], bytes: null })
      continue
    }
    if (at + length > raw.body.length) throw new OipError('SIZE_MISMATCH', `${where}: binary_data_size goes beyond the body`)
    headers.push({ name, datatype, shape, size, where, json: null, bytes: raw.body.subarray(at, at + length) })
    at += length
  }
  if (at !== raw.body.length) throw new OipError('SIZE_MISMATCH', `body: ${raw.body.length - at} bytes belong to none of ${field}`)
  return headers
}

/** To be called before anything is allocated for the tensors. */
export function checkSizes({ body }: RawInference, headers: readonly TensorHeader[], { maxBytes }: CodecLimits): void {
  let held = 0
  for (const { datatype, size, json, where } of headers) {
    held += size * heldBytes(datatype)
    if (held > maxBytes) throw new OipError('TOO_LARGE', `${where}.shape: more values than one message may hold`)
    // A value of JSON takes a character and a comma.
    if (json !== null && size * 2 > body.length) throw new OipError('SIZE_MISMATCH', `${where}.data: the shape says ${size} values`)
  }
}

/** `Inference-Header-Content-Length` as a number; null where there is none. */
export function readHeaderLength(header: string | undefined, bodyBytes: number): number | null {
  if (header === undefined) return null
  if (!/^\d{1,10}$/.test(header) || Number(header) > bodyBytes)
    throw new OipError('MALFORMED', 'Inference-Header-Content-Length: a number of bytes that the body has')
  return Number(header)
}

/** Infinite where it overflows: then no limit allows it. */
function sizeOf(shape: readonly number[]): number {
  let size = 1
  for (const length of shape) size *= length
  return size
}

function binaryLength({ parameters, data }: TensorFields, where: string): number | null {
  const length = parameters?.['binary_data_size']
  if (parameters?.['shared_memory_region'] !== undefined)
    throw new OipError('FIELD_INVALID', `${where}.parameters: shared memory is not offered, send the data`)
  if (length === undefined) {
    if (!Array.isArray(data)) throw new OipError('FIELD_INVALID', `${where}.data: expected an array, or binary_data_size`)
    return null
  }
  if (Array.isArray(data)) throw new OipError('FIELD_INVALID', `${where}: data and binary_data_size, where one is enough`)
  if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0)
    throw new OipError('FIELD_INVALID', `${where}.parameters.binary_data_size: expected a number of bytes`)
  return length
}

/** `__proto__` and `constructor` keys are refused. */
function jsonOf({ body, jsonBytes }: RawInference): unknown {
  const bytes = jsonBytes === null ? body : body.subarray(0, jsonBytes)
  if (jsonBytes !== null && jsonBytes > body.length) throw new OipError('MALFORMED', 'body: shorter than its JSON is said to be')
  if (!isUtf8(bytes)) throw new OipError('MALFORMED', 'body: JSON is in UTF-8')
  try {
    return parseJson(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString())
  } catch (cause) {
    throw new OipError('MALFORMED', 'body: not JSON', { cause })
  }
}

const colon = 0x3a
/** Names within data are not counted: nothing there may have any. */
const besideData = { except: 'data', maxDepth: 48 }

/**
 * Of a name that comes twice we read the last, and other servers the first: they would run something else than was checked and
 * seen. Most bodies have as many colons as names, and no other colon; only a text with more is looked through.
 */
function checkNames({ body, jsonBytes }: RawInference, json: unknown): void {
  const bytes = jsonBytes === null ? body : body.subarray(0, jsonBytes)
  const names = namesIn(json, besideData)
  if (names === Number.POSITIVE_INFINITY) throw new OipError('MALFORMED', 'body: nested too deep')
  let colons = 0
  for (let at = bytes.indexOf(colon); at !== -1; at = bytes.indexOf(colon, at + 1)) colons++
  if (colons === names) return
  if (shapeOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()).names !== names)
    throw new OipError('MALFORMED', 'body: a name comes twice in an object, or data holds objects')
}

function check<T extends z.ZodType>(schema: T, json: unknown): z.infer<T> {
  const parsed = schema.safeParse(json)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw new OipError('FIELD_INVALID', issue === undefined ? 'body: unreadable' : `${pathOf(issue.path)}: ${messageOf(issue)}`)
}

const fieldsOf = {
  body: 'id, parameters, inputs and outputs',
  inputs: 'name, shape, datatype, parameters and data',
  outputs: 'name and parameters',
}

/** Zod names the unknown fields, which is repeating the input. */
function messageOf({ code, message, path }: z.core.$ZodIssue): string {
  if (code !== 'unrecognized_keys') return message
  const [within] = path
  return `${fieldsOf[within === 'inputs' || within === 'outputs' ? within : 'body']}, and nothing else`
}

/** Names that somebody made up, as in `parameters`, are not repeated: only what the protocol calls a field. */
function pathOf(path: readonly PropertyKey[]): string {
  const known = path.map(String).filter((part) => /^(\d+|[a-z_]{1,16})$/.test(part))
  return known.length === 0 ? 'body' : known.slice(0, 4).join('.')
}
