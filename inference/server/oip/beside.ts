import { isObject, objectsIn } from '../../json-object.ts'
import type { Parameters } from '../../oip/codec.ts'
import { parseJson } from '../../parse-json.ts'
import type { RawInference } from '../../port.ts'
import { mapStrings, type Write } from '../../redaction/map-json.ts'

/** What a request says beside its tensors. Servers read some of it, such as the `content_type` of an input, and may keep all of it. */
export interface Beside {
  readonly request: Parameters
  /** In the request's order. */
  readonly inputs: readonly Parameters[]
  readonly outputs: readonly Parameters[]
}

/** What the protocol gives a meaning: the codec reads it, and names refer to the model's. */
const ofTensors: ReadonlySet<string> = new Set(['name', 'shape', 'datatype', 'data'])
const ofRequests: ReadonlySet<string> = new Set(['inputs', 'outputs'])

/** @param raw a request that was read before: its names are each there once, and it is not nested deep */
export function besideOf(raw: RawInference): Beside {
  const head = headOf(raw)
  const rest = (tensors: unknown) => objectsIn(tensors).map((tensor) => without(tensor, ofTensors))
  return { request: without(head, ofRequests), inputs: rest(head['inputs']), outputs: rest(head['outputs']) }
}

/** Every string in it, rewritten; the same object where none changed. Numbers stay: those of a sequence tell requests apart. */
export function mapBeside(beside: Beside, write: Write): Beside {
  const request = mapStrings(beside.request, write)
  const inputs = beside.inputs.map((one) => mapStrings(one, write))
  const outputs = beside.outputs.map((one) => mapStrings(one, write))
  const same = (mapped: readonly Parameters[], before: readonly Parameters[]) => mapped.every((one, i) => one === before[i])
  const unchanged = request === beside.request && same(inputs, beside.inputs) && same(outputs, beside.outputs)
  return unchanged ? beside : { request, inputs, outputs }
}

/**
 * A request that was written anew, with what its inputs said beside their data.
 *
 * @param written its inputs in the order of `inputs`
 */
export function withParameters(written: RawInference, inputs: Beside['inputs']): RawInference {
  const said = inputs.map((input) => without(parametersOf(input), ofData))
  const isSaid = (parameters: Parameters | undefined) => parameters !== undefined && Object.keys(parameters).length > 0
  if (!said.some(isSaid)) return written
  const head = headOf(written)
  const described = objectsIn(head['inputs']).map((input, i) =>
    isSaid(said[i]) ? { ...input, parameters: { ...said[i], ...parametersOf(input) } } : input,
  )
  const json = Buffer.from(JSON.stringify({ ...head, inputs: described }))
  if (written.jsonBytes === null) return { body: json, jsonBytes: null }
  return { body: Buffer.concat([json, written.body.subarray(written.jsonBytes)]), jsonBytes: json.length }
}

/** What is another once the data is another. */
const ofData: ReadonlySet<string> = new Set(['binary_data_size'])

function parametersOf(described: Parameters): Parameters {
  const parameters = described['parameters']
  return isObject(parameters) ? parameters : {}
}

function headOf({ body, jsonBytes }: RawInference): Parameters {
  const head = parseJson(Buffer.from(body.buffer, body.byteOffset, jsonBytes ?? body.length).toString())
  return isObject(head) ? head : {}
}

function without(object: Parameters, names: ReadonlySet<string>): Parameters {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.has(name)))
}
