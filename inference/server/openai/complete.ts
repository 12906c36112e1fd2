import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ModelInfo, TextAnswer } from '../../port.ts'
import { departure, servedBy } from '../departure.ts'
import type { Exchange } from '../exchange.ts'
import { exchangeOf } from '../model-routes.ts'
import { Refusal } from '../refusal.ts'
import type { Slot } from '../service.ts'
import { underway } from '../underway.ts'
import { guardRequest } from './guard-request.ts'
import { unusable } from './invalid.ts'
import { openBody } from './open-body.ts'
import type { OpenaiParts } from './parts.ts'
import { promptTexts } from './prompt-texts.ts'
import { readRequest, type TextOperation, type TextRequest } from './read-request.ts'
import { relay } from './relay.ts'
import { watchPrompts } from './watch-prompts.ts'
import { refusedAnswer, wholeAnswer } from './whole-answer.ts'

/** Reads, admits, asks the model, and passes its answer on: one request of the OpenAI API. */
export async function complete(
  parts: OpenaiParts,
  operation: TextOperation,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<unknown> {
  const { service, configurationOf } = parts
  const exchange = exchangeOf(request)
  const opened = openBody(request.headers['content-type'], request.body)
  const model = resolve(parts, exchange, opened.model)
  if (!model.operations.includes(operation)) throw noSuchModel('The model cannot be asked like this.')
  const configuration = configurationOf(model.name)
  const bounds = configuration.text
  const asked = readRequest(opened, operation, bounds)
  const guarded = guardRequest(parts, exchange, asked, bounds)
  exchange.sampling = asked.sampling
  if (bounds.keepPrompts) exchange.keptPrompt = keptPrompt(parts, operation, guarded.asked)
  const slot = await service.admit(exchange, model, asked.items)
  try {
    const answering = ask(parts, exchange, model, slot, guarded.asked)
    await underway(answering)
    // The model is at work: what this takes delays nobody.
    const reader = watchPrompts(parts, exchange, asked)
    const answer = await answering
    exchange.queueMs += answer.queueMs
    exchange.endpoint = answer.endpoint
    if (answer.status === 200 && asked.stream && isEvents(answer)) {
      await relay(parts, request, reply, { guarded, answer, slot, reader })
      return reply
    }
    reply.headers(slot.headers).code(answer.status).type('application/json')
    // Not the reply: it leaves later, with its event, and whoever awaits it listens for that.
    if (answer.status !== 200) return await refusedAnswer(service, exchange, answer)
    if (isEvents(answer)) throw unusable('answer_unreadable', 'The model answered with a stream that nobody asked for.')
    const { body, floorMs } = await wholeAnswer(service, exchange, guarded, answer, reader, configuration)
    slot.leave()
    if (floorMs !== undefined) await departure(exchange, floorMs)
    reply.headers(servedBy(exchange))
    return body
  } finally {
    slot.leave()
  }
}

/** The model of that name, or an error that clients of the API know. */
export function resolve({ service }: OpenaiParts, exchange: Exchange, name: string): ModelInfo {
  try {
    return service.resolve(exchange, name, undefined)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'NOT_FOUND') throw noSuchModel('The model does not exist, or you may not use it.')
    throw error
  }
}

function noSuchModel(message: string): Refusal {
  return new Refusal('NOT_FOUND', message, { param: 'model', reason: 'model_not_found' })
}

/** For the audit trail: what the model reads, so without what was redacted. */
function keptPrompt({ prompts }: OpenaiParts, operation: TextOperation, { json }: TextRequest): string {
  const messages = promptTexts(json, operation, (text) => prompts?.hashOf(text) ?? '')
  return messages.flatMap((each) => each.map(({ role, text }) => `${role}: ${text}`)).join('\n')
}

async function ask(
  { service, text }: OpenaiParts,
  exchange: Exchange,
  { name, version }: ModelInfo,
  { pool }: Slot,
  { operation, json, body, stream }: TextRequest,
): Promise<TextAnswer> {
  const { cancellation, trace } = exchange
  const call = { operation, model: name, version, pool, request: json, body, stream, headers: trace.headers, cancellation }
  const answering = text.generate(call)
  try {
    return await service.within(exchange, answering)
  } catch (error) {
    // It may come after all, when nobody waits for it: then it is told so.
    answering.then(discard).catch(() => {})
    throw error
  }
}

async function discard({ body }: TextAnswer): Promise<void> {
  await body[Symbol.asyncIterator]().return?.()
}

function isEvents({ contentType }: TextAnswer): boolean {
  return /^text\/event-stream\b/i.test(contentType)
}
