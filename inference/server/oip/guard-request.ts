import { isUtf8 } from 'node:buffer'
import type { TextConfiguration } from '../../configuration.ts'
import { encodeRequest, type OipRequest, type Parameters } from '../../oip/codec.ts'
import type { RawInference, Tensor } from '../../port.ts'
import { mapStrings, mapText, type Write } from '../../redaction/map-json.ts'
import { type GuardedTexts, openTexts } from '../../redaction/text-guard.ts'
import type { Exchange } from '../exchange.ts'
import type { NodeMetrics } from '../metrics.ts'
import { Refusal } from '../refusal.ts'
import type { InferRequest } from './infer-request.ts'

/** A request as the model may have it, and what its answer goes through; `texts` is undefined where the model's answers may say anything. */
export interface GuardedInference {
  readonly asked: OipRequest
  /** In the model's order. */
  readonly inputs: OipRequest['inputs']
  readonly texts: GuardedTexts | undefined
  /** Undefined where a server may be sent the bytes that came. */
  readonly write: (() => RawInference) | undefined
}

/** Bytes of a text's length in binary data: so many empty ones are no way round the bound. */
const lengthBytes = 4

/**
 * Sanitises and redacts the texts of a request, each value of a BYTES input and what is said beside the tensors, by the model's
 * configuration: the same where nothing applies. What leaves fingerprints is the request as it came.
 *
 * @throws Refusal `INPUT_INVALID` where the model takes no such text, or no such bytes; it names the kind, never the value
 */
export function guardInference(
  { metrics }: { readonly metrics: Pick<NodeMetrics, 'redacted'> },
  { principal }: Pick<Exchange, 'principal'>,
  request: InferRequest,
  bounds: TextConfiguration,
): GuardedInference {
  const texts = openTexts(bounds, principal, (direction, kind) => metrics.redacted(direction, kind))
  const same = { asked: request.asked, inputs: request.inputs, texts, write: undefined }
  if (texts === undefined) return same
  const guarded = texts.looksAtRequests ? rewritten(request, texts, bounds.maxInputBytes) : same
  return { ...guarded, texts: texts.changesAnswers ? texts : undefined }
}

function rewritten(request: InferRequest, texts: GuardedTexts, maxInputBytes: number): GuardedInference {
  const { asked, inputs, binary } = request
  checkSize(asked, maxInputBytes)
  const read = asked.inputs.map((input, index) => textsIn(input, `inputs[${index}]`))
  // All of it, before any of it is changed.
  mapBeside(asked, (text) => inspected(texts, 'parameters', text))
  read.forEach((values, index) => {
    for (const text of values ?? []) mapText(text, (part) => inspected(texts, `inputs[${index}]`, part))
  })
  const said = mapBeside(asked, (text) => texts.input(text))
  const written = said.inputs.map((input, index) => changed(input, read[index], texts))
  if (said === asked && written.every((input, index) => input === asked.inputs[index])) return { asked, inputs, texts, write: undefined }
  const anew = { ...said, inputs: written }
  const byName = new Map(written.map((input) => [input.name, input]))
  const inOrder = inputs.map((input) => byName.get(input.name) ?? input)
  return { asked: anew, inputs: inOrder, texts, write: () => encodeRequest(anew, (name) => binary.includes(name)) }
}

/**
 * Every text that a request says beside its tensors, rewritten: servers read some of it, and may keep all of it. Names of tensors
 * refer to the model's, and numbers stay, since those of a sequence tell requests apart.
 *
 * @returns the same request where nothing changes
 */
function mapBeside(asked: OipRequest, write: Write): OipRequest {
  const { id, modelName, modelVersion } = asked
  const named = {
    id: id === null ? null : write(id),
    ...(modelName === undefined ? {} : { modelName: write(modelName) }),
    ...(modelVersion === undefined ? {} : { modelVersion: write(modelVersion) }),
  }
  const parameters = mapStrings(asked.parameters, write)
  const inputs = asked.inputs.map((input) => mapParameters(input, write))
  const outputs = asked.outputs.map((output) => mapParameters(output, write))
  const sameNames = named.id === id && named.modelName === modelName && named.modelVersion === modelVersion
  const sameTensors = inputs.every((input, i) => input === asked.inputs[i]) && outputs.every((output, i) => output === asked.outputs[i])
  return sameNames && sameTensors && parameters === asked.parameters ? asked : { ...asked, ...named, parameters, inputs, outputs }
}

function mapParameters<T extends { readonly parameters?: Parameters }>(described: T, write: Write): T {
  if (described.parameters === undefined) return described
  const parameters = mapStrings(described.parameters, write)
  return parameters === described.parameters ? described : { ...described, parameters }
}

function checkSize(asked: OipRequest, maxInputBytes: number): void {
  let bytes = 0
  mapBeside(asked, (text) => {
    bytes += lengthBytes + text.length
    return text
  })
  for (const { data } of asked.inputs) if (!ArrayBuffer.isView(data)) for (const { length } of data) bytes += lengthBytes + length
  if (bytes > maxInputBytes) throw new Refusal('INPUT_INVALID', `inputs: more text than this model takes, ${maxInputBytes} bytes`)
}

/** The values of a BYTES input as texts; undefined for any other. */
function textsIn({ data }: Tensor, where: string): readonly string[] | undefined {
  if (ArrayBuffer.isView(data)) return undefined
  return data.map((value, index) => {
    if (!isUtf8(value))
      throw new Refusal(
        'INPUT_INVALID',
        `${where}: value ${index} is no UTF-8; this model takes texts, because other bytes cannot be looked into`,
      )
    return textOf(value)
  })
}

/** Bytes as the text that they are; what is no UTF-8 becomes U+FFFD. */
export function textOf(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length).toString()
}

function inspected(texts: GuardedTexts, where: string, text: string): string {
  const objection = texts.inspect(text)
  if (objection === undefined) return text
  throw new Refusal('INPUT_INVALID', `${where}: ${objection.message}`)
}

/** The same tensor where no text of it changes. */
function changed<T extends Tensor>(tensor: T, read: readonly string[] | undefined, texts: GuardedTexts): T {
  const { data } = tensor
  if (read === undefined || ArrayBuffer.isView(data)) return tensor
  const written = read.map((text) => mapText(text, (part) => texts.input(part)))
  if (written.every((text, i) => text === read[i])) return tensor
  return { ...tensor, data: data.map((value, i) => (written[i] === read[i] ? value : Buffer.from(written[i] ?? ''))) }
}
