import { InferenceError } from '../../errors.ts'
import { encodeAnswer, type WantedOutput } from '../../oip/codec.ts'
import { OipError } from '../../oip/errors.ts'
import type { Inference, ModelInfo, RawInference, Tensor } from '../../port.ts'
import type { GuardedTexts } from '../../redaction/text-guard.ts'
import { type Hardener, hardenTensor, hardenText } from '../harden.ts'
import { Refusal } from '../refusal.ts'
import { classify } from './classification.ts'
import { guardOutput } from './guard-answer.ts'
import type { InferRequest } from './infer-request.ts'
import { type Probabilities, probabilitiesOf, probabilitiesOutput } from './watch.ts'

export interface Answering {
  readonly model: ModelInfo
  readonly request: InferRequest
  readonly inference: Inference
  /** What its texts go through; undefined where they may say anything. */
  readonly texts: GuardedTexts | undefined
  readonly hardener: Hardener | undefined
  /** Probabilities as this client is told them; undefined where they are the model's. */
  readonly disguise: ((rows: Probabilities) => Float32Array) | undefined
  readonly id: string
}

/**
 * The answer as it is shown: the outputs asked for, without what redaction hides, hardened where that applies, as text where a
 * classification was asked for.
 *
 * @throws Refusal `INPUT_INVALID` for what the client can change; InferenceError `INFERENCE_FAILED`, `UPSTREAM_FAILED`
 */
export function answerOf(answering: Answering): RawInference {
  const { model, request, inference, hardener, id } = answering
  const tensors = inference.tensors()
  const shown = wantedOf(request, tensors).map((wanted) => {
    const tensor = tensors.find(({ name }) => name === wanted.name)
    if (tensor === undefined)
      throw new InferenceError(inference.raw === null ? 'INFERENCE_FAILED' : 'UPSTREAM_FAILED', `${model.name} left out an output`)
    return show(tensor, wanted, answering)
  })
  const binary = new Set(wantedOf(request, tensors).flatMap(({ name, binary }) => (binary ? [name] : [])))
  const about = { id: request.asked.id ?? id, modelName: model.name, modelVersion: model.version, parameters: {} }
  try {
    return encodeAnswer({ ...about, tensors: shown }, (name) => binary.has(name), decimalsOf(hardener))
  } catch (error) {
    if (!(error instanceof OipError)) throw error
    throw new InferenceError('INFERENCE_FAILED', `${model.name} answered with what JSON does not have`, { cause: error })
  }
}

/** A model that does not declare its outputs answers with what it has. */
function wantedOf({ outputs, asked }: InferRequest, tensors: readonly Tensor[]): readonly WantedOutput[] {
  return outputs.length > 0 ? outputs : tensors.map(({ name }) => ({ name, binary: asked.binary, classes: 0 }))
}

function show(given: Tensor, wanted: WantedOutput, { model, request, texts, hardener, disguise }: Answering): Tensor {
  const said = texts === undefined ? given : guardOutput(given, wanted.classes > 0, texts)
  // An upstream made the classification.
  const text = wanted.classes > 0 && said.datatype === 'BYTES'
  if (text) return hardener === undefined ? said : hardenText(said, said.shape.at(-1) ?? 1, hardener)
  const rows = probabilitiesOf(said, request.items)
  const first = said.name === probabilitiesOutput(model)
  const tensor = first && rows !== null && disguise !== undefined ? { ...said, data: disguise(rows) } : said
  const hardened = hardener === undefined ? tensor : hardenTensor(tensor, first && rows !== null ? rows.classes : null, hardener)
  if (wanted.classes === 0) return hardened
  if (rows === null || !(hardened.data instanceof Float32Array))
    throw new Refusal('INPUT_INVALID', `outputs: there is no classification of ${tensor.name}`)
  return classify(hardened, hardened.data, rows.classes, wanted.classes, first ? model.labels : [])
}

/** Digits that JSON shows: those of FP32 as a double would show seventeen, whatever it was rounded to. */
function decimalsOf(hardener: Hardener | undefined): number | undefined {
  return hardener?.level === 'rounded' || hardener?.level === 'top-k' ? hardener.decimals : undefined
}
