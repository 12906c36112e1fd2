import { isUtf8 } from 'node:buffer'
import type { Logger } from 'pino'
import type { TextConfiguration } from '../../configuration.ts'
import { writeBinary } from '../../oip/write.ts'
import type { PromptFingerprinter, PromptMessage, Tensor } from '../../port.ts'
import type { Exchange } from '../exchange.ts'
import type { NodeMetrics } from '../metrics.ts'
import { AnswerReader } from '../openai/answer-reader.ts'
import { maxPrompts } from '../openai/prompt-texts.ts'
import { examinationOf } from '../openai/watch-prompts.ts'
import { textOf } from './guard-request.ts'
import type { InferRequest } from './infer-request.ts'

/** Answers that are told apart; those to more items are read as one. */
const maxAnswers = 128

interface TextWatch {
  readonly prompts: PromptFingerprinter | undefined
  readonly metrics: Pick<NodeMetrics, 'fingerprintFailed'>
  readonly log: Pick<Logger, 'error'>
}

/**
 * Texts that come as tensors leave the events of prompts, and their answers are read, where the model has canaries: only then is
 * it known to be one that says texts. What fails here costs no answer.
 *
 * @returns what reads the answer; undefined where nobody looks at it
 */
export function watchTexts(
  { prompts, metrics, log }: TextWatch,
  exchange: Exchange,
  request: InferRequest,
  bounds: TextConfiguration,
): AnswerReader | undefined {
  const { model, principal } = exchange
  const { canaries, fingerprintPrompts, examineAnswers } = bounds
  if (prompts === undefined || model === null || canaries.length === 0 || !fingerprintPrompts || !examineAnswers) return undefined
  try {
    const hashOf = (text: string) => prompts.hashOf(text)
    const fingerprints = textsOf(request, hashOf).map((texts) => prompts.fingerprint(model, texts, principal))
    const reader = new AnswerReader(examinationOf(bounds), Math.min(request.items, maxAnswers), hashOf)
    const until = (prompt: number) => (prompt === fingerprints.length - 1 ? maxAnswers : prompt + 1)
    exchange.prompts = { fingerprints, sampling: null, verdictOf: (prompt) => reader.verdictOf([prompt, until(prompt)]) }
    return reader
  } catch (error) {
    metrics.fingerprintFailed()
    // Its message might tell of the prompt.
    log.error({ error: error instanceof Error ? error.name : typeof error, model }, 'node: a prompt left no fingerprint')
    return undefined
  }
}

/** Reads what a model said to each item. Of bytes that are no UTF-8, what is. */
export function readTexts(reader: AnswerReader, outputs: readonly Tensor[], items: number): void {
  for (const tensor of outputs) {
    for (const [value, item] of valuesOf(tensor, items)) {
      const index = Math.min(item, maxAnswers - 1)
      reader.read({ choices: [{ index, text: textOf(value) }] })
    }
  }
}

/** For the audit trail: the texts that the model reads, so without what was redacted; null where the tensors have none. */
export function keptTexts({ prompts }: Pick<TextWatch, 'prompts'>, read: TensorPrompts): string | null {
  if (read.inputs.every(({ data }) => ArrayBuffer.isView(data))) return null
  const messages = textsOf(read, (text) => prompts?.hashOf(text) ?? '').flat()
  return messages.map(({ role, text }) => `${role}: ${text}`).join('\n')
}

type TensorPrompts = Pick<InferRequest, 'inputs' | 'items'>

/** What the model is to read, item by item, a message for each input; of tensors without any text, such as tokens, their keyed hash. */
function textsOf({ inputs, items }: TensorPrompts, hashOf: (text: string) => string): readonly (readonly PromptMessage[])[] {
  const hashed = ({ datatype }: Pick<Tensor, 'datatype'>, bytes: Uint8Array) =>
    `[${datatype} ${hashOf(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1')).slice(0, 8)}]`
  if (inputs.every(({ data }) => ArrayBuffer.isView(data)))
    return [inputs.map((input) => ({ role: 'prompt', text: hashed(input, writeBinary(input)) }))]
  const byPrompt: PromptMessage[][] = Array.from({ length: Math.min(items, maxPrompts) }, () => [])
  for (const input of inputs) {
    const said: string[][] = Array.from({ length: items }, () => [])
    for (const [value, item] of valuesOf(input, items)) said[item]?.push(isUtf8(value) ? textOf(value) : hashed(input, value))
    said.forEach((texts, item) => {
      if (texts.length > 0) byPrompt[Math.min(item, maxPrompts - 1)]?.push({ role: 'prompt', text: texts.join('\n') })
    })
  }
  return byPrompt
}

/** Values of a BYTES tensor, each with the item that it belongs to: the first where they cannot be shared out. */
function* valuesOf({ data }: Tensor, items: number): Generator<readonly [value: Uint8Array, item: number]> {
  if (ArrayBuffer.isView(data)) return
  const each = data.length % items === 0 ? data.length / items : data.length
  for (const [index, value] of data.entries()) yield [value, Math.floor(index / each)]
}
