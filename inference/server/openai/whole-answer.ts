import type { ServedConfiguration } from '../../configuration.ts'
import { padJson } from '../../hardening/padding.ts'
import { isObject, objectsIn } from '../../json-object.ts'
import type { TextAnswer } from '../../port.ts'
import type { Exchange } from '../exchange.ts'
import { hardeningOf, ofLevel } from '../hardening.ts'
import type { Service } from '../service.ts'
import { type AnswerObject, choicesOf, messageOf } from './answer-object.ts'
import type { AnswerReader } from './answer-reader.ts'
import { AnswerTap } from './answer-tap.ts'
import { guardAnswer } from './guard-answer.ts'
import type { GuardedRequest } from './guard-request.ts'
import { hardenAnswer } from './harden-answer.ts'
import { unusable } from './invalid.ts'
import { parseAnswer, usageIn } from './parse-answer.ts'
import { note } from './tally.ts'
import { checkCall, invalidCall, type ToolRules } from './tool-rules.ts'

/** Longest answer that is not a stream, and longest refusal of an upstream, in bytes. */
const maxAnswerBytes = 67_108_864
const maxRefusalBytes = 65_536

export interface WholeAnswer {
  readonly body: Buffer
  /** Milliseconds from its arrival before which it may not leave. */
  readonly floorMs: number | undefined
}

/**
 * An answer that is not a stream, as it may go out: the same bytes where nothing is hardened and no text has to change.
 *
 * @param reader undefined where nobody looks at what is said
 * @throws Refusal `FAILED_UPSTREAM` where it cannot be read, or a tool call does not fit
 */
export async function wholeAnswer(
  service: Service,
  exchange: Exchange,
  { asked, texts }: GuardedRequest,
  answer: TextAnswer,
  reader: AnswerReader | undefined,
  configuration: ServedConfiguration,
): Promise<WholeAnswer> {
  const bytes = await service.within(exchange, bytesOf(answer, maxAnswerBytes))
  const tap = new AnswerTap(asked.inputBytes, reader)
  // The numbers of embeddings are many, and only a hardener looks at them.
  let value: AnswerObject | undefined
  if (asked.operation === 'embedding') tap.usage(usageIn(bytes))
  else {
    value = parseAnswer(bytes)
    tap.answer(value)
  }
  note(exchange, tap.tally)
  if (value !== undefined && asked.tools !== undefined) checkCalls(value, asked.tools)
  const guarded = value === undefined || texts === undefined ? value : guardAnswer(value, texts)
  const hardening = hardeningOf(service, exchange, configuration)
  const hardener = ofLevel(hardening)
  const hardened = hardener === undefined ? guarded : hardenAnswer(guarded ?? parseAnswer(bytes), hardener)
  const body = hardened === value ? bytes : Buffer.from(JSON.stringify(hardened))
  return { body: padJson(body, hardening?.padTo ?? 0), floorMs: hardening?.floorMs }
}

/** What an upstream says of a request that it refuses, to be passed on. */
export async function refusedAnswer(service: Service, exchange: Exchange, answer: TextAnswer): Promise<Buffer> {
  exchange.outcome = 'invalid'
  return service.within(exchange, bytesOf(answer, maxRefusalBytes))
}

function checkCalls(answer: AnswerObject, rules: ToolRules): void {
  for (const choice of choicesOf(answer)) {
    const message = messageOf(choice)
    if (isObject(message['function_call'])) throw invalidCall()
    for (const { function: called } of objectsIn(message['tool_calls'])) {
      if (!isObject(called)) throw invalidCall()
      checkCall(called['name'], called['arguments'], rules)
    }
  }
}

async function bytesOf({ body }: TextAnswer, most: number): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body) {
    length += chunk.length
    if (length > most) throw unusable('answer_too_large', 'The model answered with more than can be passed on.')
    chunks.push(chunk)
  }
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? Buffer.from(only.buffer, only.byteOffset, only.length) : Buffer.concat(chunks, length)
}
