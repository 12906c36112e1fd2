import type { Logger } from 'pino'
import { newEventId } from '../../../bus/event-id.ts'
import type { ServedConfiguration } from '../../configuration.ts'
import { padInference } from '../../hardening/padding.ts'
import { encodeRequest } from '../../oip/codec.ts'
import type { Fingerprinter, Inference, ModelInfo, PromptFingerprinter, RawInference, Tensor, TensorRuntime } from '../../port.ts'
import type { Exchange } from '../exchange.ts'
import { refusalOf } from '../failures.ts'
import { type Hardener, rewrites } from '../harden.ts'
import { hardeningOf } from '../hardening.ts'
import type { NodeMetrics } from '../metrics.ts'
import type { NodeLimits } from '../options.ts'
import type { Service, Slot } from '../service.ts'
import { underway } from '../underway.ts'
import { answerOf } from './answer.ts'
import { type GuardedInference, guardInference } from './guard-request.ts'
import { type InferRequest, readInferRequest } from './infer-request.ts'
import {
  confidenceOf,
  fingerprintsOf,
  floatsOf,
  type Impressions,
  look,
  type Probabilities,
  probabilitiesOutput,
  readProbabilities,
} from './watch.ts'
import { keptTexts, readTexts, watchTexts } from './watch-texts.ts'

export interface OipParts {
  readonly service: Service
  readonly runtime: TensorRuntime
  readonly limits: NodeLimits
  readonly metrics: NodeMetrics
  readonly configurationOf: (model: string) => ServedConfiguration
  readonly fingerprinterOf: (model: string, version: string) => Fingerprinter | undefined
  /** Undefined where no prompt leaves an event. */
  readonly prompts: PromptFingerprinter | undefined
  readonly log: Logger
}

export interface InferAnswer {
  readonly raw: RawInference
  /** Of the quota. */
  readonly headers: Readonly<Record<string, string>>
  /** Milliseconds from its arrival before which it may not leave. */
  readonly floorMs: number | undefined
}

/** What is asked of the runtime: what the client wants, as the model may have it, and what the node must see of a watched model. */
interface Question {
  readonly inputs: readonly Tensor[]
  readonly outputs: readonly string[]
  readonly raw: RawInference
  /** The node asks for other outputs than the client. */
  readonly own: boolean
}

interface Asked {
  readonly exchange: Exchange
  readonly model: ModelInfo
  /** As it came. */
  readonly request: InferRequest
  readonly guarded: GuardedInference
  readonly question: Question
}

/** Reads, guards, admits, runs, fingerprints, hardens: one request of the Open Inference Protocol. */
export async function infer(parts: OipParts, exchange: Exchange, model: ModelInfo, raw: RawInference): Promise<InferAnswer> {
  const { service, limits, fingerprinterOf } = parts
  const { text: bounds } = parts.configurationOf(model.name)
  const request = readInferRequest(raw, model, limits)
  const guarded = guardInference(parts, exchange, request, bounds)
  if (bounds.keepPrompts) exchange.keptPrompt = keptTexts(parts, { inputs: guarded.inputs, items: request.items })
  const slot = await service.admit(exchange, model, request.items)
  try {
    const fingerprinter = fingerprinterOf(model.name, model.version)
    const question = questionOf(request, guarded, model, slot, fingerprinter !== undefined)
    const asked = { exchange, model, request, guarded, question }
    const running = run(parts, asked, slot)
    await underway(running)
    // The model is at work by now, elsewhere: what this takes is not added to the answer's time.
    const impressions = fingerprinter === undefined ? undefined : look(parts, fingerprinter, request, model)
    const reader = watchTexts(parts, exchange, request, bounds)
    const inference = await running
    watch(parts, asked, inference, impressions)
    if (reader !== undefined) readTexts(reader, inference.tensors(), request.items)
    service.keepAway(exchange)
    return { ...answer(parts, asked, inference), headers: slot.headers }
  } catch (error) {
    throw refusalOf(error)
  } finally {
    slot.leave()
  }
}

/**
 * A watched model is asked for its probabilities whether the client wants them or not, or wants them as text only: else leaving
 * them out were a way not to be watched.
 */
function questionOf(request: InferRequest, guarded: GuardedInference, model: ModelInfo, { forwards }: Slot, watched: boolean): Question {
  const { outputs, raw } = request
  const { asked, inputs, write } = guarded
  const names = outputs.map(({ name }) => name)
  const watching = watched ? probabilitiesOutput(model) : undefined
  // An upstream reads the request itself.
  if (watching === undefined || outputs.some(({ name, classes }) => name === watching && classes === 0))
    return { inputs, outputs: names, raw: forwards ? (write?.() ?? raw) : raw, own: false }
  const all = names.includes(watching) ? names : [...names, watching]
  const wanted = all.map((name) => ({ ...asked.outputs.find((output) => output.name === name), name, binary: true, classes: 0 }))
  const forwarded = forwards ? encodeRequest({ ...asked, inputs, outputs: wanted }, () => true) : raw
  return { inputs, outputs: all, raw: forwarded, own: true }
}

async function run({ service, runtime }: OipParts, { exchange, model, request, question }: Asked, { pool }: Slot): Promise<Inference> {
  const { name, version } = model
  const { items } = request
  const { inputs, outputs, raw } = question
  const { cancellation, trace } = exchange
  const call = { model: name, version, pool, inputs, items, outputs, raw, headers: trace.headers, cancellation }
  const inference = await service.within(exchange, runtime.infer(call))
  exchange.queueMs += inference.queueMs
  exchange.endpoint = inference.endpoint
  return inference
}

/** Only a model that is watched, or names its classes, has its answer read: an upstream's is bytes until then. */
function watch(parts: OipParts, asked: Asked, inference: Inference, impressions: Impressions | undefined): void {
  const { exchange, model, request, question } = asked
  const output = probabilitiesOutput(model)
  const classifier = impressions !== undefined || model.labels.length > 0
  if (!classifier || output === undefined || !question.outputs.includes(output)) return
  const asText = request.outputs.some(({ name, classes }) => name === output && classes > 0)
  // What an upstream answers with as text has no number for every class.
  if (asText && inference.raw !== null && !question.own) return
  const probabilities = readProbabilities(model, inference, output, request.items)
  exchange.confidence = confidenceOf(probabilities)
  if (impressions !== undefined) exchange.fingerprints = fingerprintsOf(parts, impressions, probabilities, model)
}

function answer({ service, configurationOf }: OipParts, asked: Asked, inference: Inference): Omit<InferAnswer, 'headers'> {
  const { exchange, model, request, guarded, question } = asked
  const { texts } = guarded
  const configuration = configurationOf(model.name)
  const hardener = hardeningOf(service, exchange, configuration)
  const { padTo = 0, floorMs } = hardener ?? {}
  const told = (raw: RawInference) => ({ raw: padInference(raw, padTo), floorMs })
  // What is written anew: outputs that the client did not ask for, texts that may have to change, a name that the model was not told.
  const anew = question.own || texts !== undefined || guarded.asked.id !== request.asked.id
  if (inference.raw !== null && (hardener === undefined || !rewrites(hardener)) && !anew) return told(inference.raw)
  exchange.id ??= newEventId(exchange.arrivedAt)
  const disguise = hardener === undefined ? undefined : disguiseOf(asked, configuration, hardener)
  return told(answerOf({ model, request, inference, texts, hardener, disguise, id: exchange.id }))
}

/** Draws watermark and noise from the inputs; undefined where there is neither. */
function disguiseOf(
  { exchange, model, request }: Asked,
  { answers, hardening }: ServedConfiguration,
  { noise = 0, watermark = false }: Hardener,
): ((rows: Probabilities) => Float32Array) | undefined {
  if (noise === 0 && !watermark) return undefined
  const addressee = { principal: exchange.principal, model: model.name, version: model.version }
  const [input] = request.inputs
  return ({ data, classes }) => {
    const inputs = input === undefined ? null : floatsOf(input.data)
    const answered = { inputs, shape: input?.shape.slice(1) ?? [], rows: data, classes }
    return answers.disguise(addressee, answered, watermark ? hardening.marked : 0, noise)
  }
}
