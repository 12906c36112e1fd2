import { isUtf8 } from 'node:buffer'
import type { TextConfiguration } from '../../configuration.ts'
import { encodeRequest, type OipRequest } from '../../oip/codec.ts'
import type { RawInference, Tensor } from '../../port.ts'
import { mapText } from '../../redaction/map-json.ts'
import { type GuardedTexts, openTexts } from '../../redaction/text-guard.ts'
import type { Exchange } from '../exchange.ts'
import type { NodeMetrics } from '../metrics.ts'
import { Refusal } from '../refusal.ts'
import { type Beside, besideOf, mapBeside, withParameters } from './beside.ts'
import type { InferRequest } from './infer-request.ts'

/** A request as the model may have it, and what its answer goes through; `texts` is undefined where the model's answers may say anything. */
export interface GuardedInference {
  readonly asked: OipRequest
  /** In the model's order. */
  readonly inputs: readonly Tensor[]
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
  const beside = besideOf(request.raw)
  checkSize(asked.inputs, beside, maxInputBytes)
  const read = new Map(asked.inputs.map((input, index) => [input.name, textsIn(input, `inputs[${index}]`)]))
  // All of it, before any of it is changed.
  mapBeside(beside, (text) => inspected(texts, 'parameters', text))
  asked.inputs.forEach(({ name }, index) => {
    for (const text of read.get(name) ?? []) mapText(text, (part) => inspected(texts, `inputs[${index}]`, part))
  })
  const said = mapBeside(beside, (text) => texts.input(text))
  const guarded = new Map(asked.inputs.map((input) => [input.name, changed(input, read.get(input.name), texts)]))
  const inOrder = (tensors: readonly Tensor[]) => tensors.map((input) => guarded.get(input.name) ?? input)
  if (said === beside && inOrder(inputs).every((input, i) => input === inputs[i])) return { asked, inputs, texts, write: undefined }
  const anew = { ...describedBy(said, asked), inputs: inOrder(asked.inputs) }
  const write = () =>
    withParameters(
      encodeRequest(anew, (name) => binary.includes(name)),
      said.inputs,
    )
  return { asked: anew, inputs: inOrder(inputs), texts, write }
}

function describedBy({ request: { id, parameters } }: Beside, asked: OipRequest): OipRequest {
  const named = typeof id === 'string' ? id : null
  return { ...asked, id: named, parameters: isParameters(parameters) ? parameters : {} }
}

function isParameters(value: unknown): value is OipRequest['parameters'] {
  return typeof value === 'object' && value !== null
}

function checkSize(inputs: readonly Tensor[], beside: Beside, maxInputBytes: number): void {
  let bytes = 0
  mapBeside(beside, (text) => {
    bytes += lengthBytes + text.length
    return text
  })
  for (const { data } of inputs) if (!ArrayBuffer.isView(data)) for (const { length } of data) bytes += lengthBytes + length
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
function changed(tensor: Tensor, read: readonly string[] | undefined, texts: GuardedTexts): Tensor {
  const { data } = tensor
  if (read === undefined || ArrayBuffer.isView(data)) return tensor
  const written = read.map((text) => mapText(text, (part) => texts.input(part)))
  if (written.every((text, i) => text === read[i])) return tensor
  return { ...tensor, data: data.map((value, i) => (written[i] === read[i] ? value : Buffer.from(written[i] ?? ''))) }
}
