import type { Logger } from 'pino'
import { newEventId } from '../../../bus/event-id.ts'
import { InferenceError } from '../../errors.ts'
import type { Fingerprint, Fingerprinter, ModelInfo, TensorRuntime } from '../../port.ts'
import type { Exchange } from '../exchange.ts'
import { harden } from '../harden.ts'
import type { NodeMetrics } from '../metrics.ts'
import type { NodeLimits } from '../options.ts'
import type { Service } from '../service.ts'
import { type InferRequest, readInferRequest } from './infer-request.ts'

export interface OipParts {
  readonly service: Service
  readonly runtime: TensorRuntime
  readonly limits: NodeLimits
  readonly metrics: NodeMetrics
  readonly fingerprinterOf: (model: string, version: string) => Fingerprinter | undefined
  readonly log: Logger
}

export interface InferAnswer {
  readonly body: string
  readonly headers: Readonly<Record<string, string>>
}

/** Reads, admits, runs, fingerprints, hardens: one request of the Open Inference Protocol. */
export async function infer(parts: OipParts, exchange: Exchange, model: ModelInfo, json: unknown, bytes: Buffer): Promise<InferAnswer> {
  const { service, runtime, limits } = parts
  const request = readInferRequest(json, model, limits.maxItems)
  const slot = await service.admit(exchange, model, request.items)
  try {
    const inference = await service.within(
      exchange,
      runtime.infer({
        model: model.name,
        version: model.version,
        pool: slot.pool,
        inputs: [request.tensor],
        items: request.items,
        outputs: request.outputs.map(({ name }) => name),
        raw: { body: bytes, jsonBytes: null },
        headers: exchange.trace.headers,
        cancellation: exchange.cancellation,
      }),
    )
    exchange.queueMs += inference.queueMs
    exchange.endpoint = inference.endpoint
    exchange.id = newEventId(exchange.arrivedAt)
    const output = inference.tensors()[0]?.data
    if (!(output instanceof Float32Array))
      throw new InferenceError('INFERENCE_FAILED', `${model.name} answered with something else than FP32`)
    summarise(parts, exchange, model, request, output)
    return { body: render(service, exchange, model, request, output), headers: slot.headers }
  } finally {
    slot.leave()
  }
}

/** Fingerprints and confidence come from what the model said, not from what the client is shown. */
function summarise(parts: OipParts, exchange: Exchange, model: ModelInfo, { tensor, items }: InferRequest, output: Float32Array): void {
  const { fingerprinterOf, metrics, log } = parts
  const classes = output.length / items
  const input = tensor.data
  const width = input.length / items
  const fingerprinter = fingerprinterOf(model.name, model.version)
  const fingerprints: Fingerprint[] = []
  let confidence = 0
  if (!output.every(Number.isFinite)) throw new InferenceError('INFERENCE_FAILED', `${model.name} answered with a number that is none`)
  for (let item = 0; item < items; item++) {
    const row = output.subarray(item * classes, (item + 1) * classes)
    confidence += row.reduce((top, p) => Math.max(top, p), 0) / items
    if (fingerprinter === undefined) continue
    try {
      fingerprints.push(fingerprinter.fingerprint(input.subarray(item * width, (item + 1) * width), row))
    } catch (error) {
      metrics.fingerprintFailed()
      log.error({ err: error, model: model.name }, 'node: an input left no fingerprint')
    }
  }
  exchange.confidence = Math.min(1, confidence)
  exchange.fingerprints = fingerprints
}

function render(service: Service, exchange: Exchange, model: ModelInfo, request: InferRequest, output: Float32Array): string {
  const hardener = service.hardening(exchange)
  const data = hardener === undefined ? Array.from(output) : harden(output, output.length / request.items, hardener)
  return JSON.stringify({
    model_name: model.name,
    model_version: model.version,
    id: request.id ?? exchange.id,
    outputs: request.outputs.map(({ name, datatype, shape }) => ({ name, datatype, shape: [request.items, ...shape.slice(1)], data })),
  })
}
