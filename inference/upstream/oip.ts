import { InferenceError } from '../errors.ts'
import { decodeAnswer } from '../oip/codec.ts'
import type { InferCall, Inference, ModelInfo, RawInference, Tensor, TensorRuntime } from '../port.ts'
import type { ModelRegistry } from '../registry.ts'
import type { Answer } from './answer.ts'
import type { Endpoint } from './endpoint.ts'
import { refused } from './failure.ts'
import { headersOf, standingHeaders } from './headers.ts'
import { differenceOf, type Surveyed, survey } from './oip-metadata.ts'
import { Refresh } from './refresh.ts'
import { configured, Upstream, type UpstreamOptions } from './upstream.ts'
import { UpstreamRuntime } from './upstream-runtime.ts'

/** Most bytes of an answer, and of a refusal; most tensors of an answer. */
const most = { answer: 67_108_864, refusal: 65_536, tensors: 64 }

export interface OipUpstreamOptions extends UpstreamOptions {
  /** Models that a manifest declares: their tensors, ranges and labels. What it does not know is as the upstream says. */
  readonly registry?: Pick<ModelRegistry, 'info' | 'list'>
}

/**
 * A pool whose models run behind the Open Inference Protocol: Triton, KServe, Seldon, another Cordon node.
 *
 * Opens whether or not the upstream is there; waits for one check of each endpoint, three times `health.timeoutMs` at most.
 */
export async function openOipUpstream(options: OipUpstreamOptions): Promise<TensorRuntime> {
  const runtime = new OipUpstream(options)
  await runtime.start()
  return runtime
}

class OipUpstream extends UpstreamRuntime implements TensorRuntime {
  readonly backend = 'none'
  readonly #options: OipUpstreamOptions
  protected readonly upstream: Upstream
  readonly #standing: readonly string[]
  readonly #declared: readonly ModelInfo[]
  readonly #refresh: Refresh
  /** By model, at most those of the pool. */
  readonly #surveyed = new Map<string, Surveyed>()

  constructor(options: OipUpstreamOptions) {
    super()
    const { pool, registry, token } = options
    const settings = configured(pool)
    this.#options = options
    this.#standing = standingHeaders(token)
    this.#declared = (registry?.list() ?? []).filter(({ name }) => pool.models.includes(name)).map((info) => ({ ...info, digest: null }))
    this.#refresh = new Refresh(options.log, pool.name)
    this.upstream = new Upstream(options, settings, this.#standing, settings.health.path ?? '/v2/health/ready', (endpoint) =>
      this.#survey(endpoint),
    )
  }

  list(): readonly ModelInfo[] {
    return this.#options.pool.models.flatMap((model) => {
      const declared = this.#declared.filter(({ name }) => name === model)
      return declared.length > 0 ? declared : (this.#surveyed.get(model)?.infos ?? [])
    })
  }

  info(model: string, version: string): ModelInfo | undefined {
    const one = (info: ModelInfo) => info.name === model && info.version === version
    if (this.#declared.some(({ name }) => name === model)) return this.#declared.find(one)
    return this.#surveyed.get(model)?.infos.find(one)
  }

  statistics(): undefined {
    return undefined
  }

  tensorBytes(): number {
    return 0
  }

  async infer(call: InferCall): Promise<Inference> {
    const { body, jsonBytes } = call.raw
    const headers = headersOf(this.#standing, jsonBytes === null ? 'application/json' : 'application/octet-stream', call.headers)
    if (jsonBytes !== null) headers.push('inference-header-content-length', String(jsonBytes))
    const answer = await this.upstream.send({ method: 'POST', path: this.#pathOf(call), headers, body }, call.cancellation)
    const bytes = await answer.collect(answer.refuses ? most.refusal : most.answer)
    if (answer.refuses) throw refused(answer.status, errorOf(bytes))
    const raw = rawOf(answer, bytes)
    let tensors: readonly Tensor[] | undefined
    const decode = () => {
      tensors ??= tensorsOf(raw, call.outputs, answer.endpoint)
      return tensors
    }
    return { tensors: decode, raw, endpoint: answer.endpoint, queueMs: answer.queueMs }
  }

  #pathOf({ model, version }: InferCall): string {
    const path = `/v2/models/${encodeURIComponent(this.upstream.nameOf(model))}`
    return this.#surveyed.get(model)?.versioned === true ? `${path}/versions/${encodeURIComponent(version)}/infer` : `${path}/infer`
  }

  #survey(endpoint: Endpoint): Promise<void> {
    const { pool } = this.#options
    const { version, health } = this.upstream.settings
    return this.#refresh.when(pool.models, async (model) => {
      const question = { model, named: this.upstream.nameOf(model), version, headers: this.#standing, timeoutMs: health.timeoutMs }
      const surveyed = await survey(endpoint, question)
      this.#surveyed.set(model, surveyed)
      for (const declared of this.#declared) {
        const difference = declared.name === model ? differenceOf(declared, surveyed) : undefined
        if (difference !== undefined) return `${difference}; the declaration of version ${declared.version} holds`
      }
      return undefined
    })
  }
}

/** `error` of an answer in the protocol's form. */
function errorOf(bytes: Buffer): unknown {
  try {
    const parsed: unknown = JSON.parse(bytes.toString())
    return typeof parsed === 'object' && parsed !== null && 'error' in parsed ? parsed.error : undefined
  } catch {
    return undefined
  }
}

function rawOf(answer: Answer, body: Buffer): RawInference {
  const header = answer.header('inference-header-content-length')
  const jsonBytes = header === undefined ? null : /^\d{1,9}$/.test(header) ? Number(header) : Number.NaN
  const json = jsonBytes ?? body.length
  // An object at least: whatever else comes with status 200 is not passed on.
  if (json <= body.length && isObject(body.subarray(0, json))) return { body, jsonBytes }
  throw new InferenceError('UPSTREAM_FAILED', `${answer.endpoint} answered something that is not of the protocol`)
}

function isObject(json: Uint8Array): boolean {
  let first = 0
  let last = json.length - 1
  while (blank(json[first])) first++
  while (blank(json[last])) last--
  return last > first && json[first] === 0x7b && json[last] === 0x7d
}

function blank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

function tensorsOf(raw: RawInference, outputs: readonly string[], endpoint: string): readonly Tensor[] {
  const { tensors } = decoded(raw, endpoint)
  // A model that declares no outputs was asked for all it has.
  if (outputs.length === 0) return tensors
  return outputs.map((name) => {
    const tensor = tensors.find((one) => one.name === name)
    if (tensor === undefined) throw new InferenceError('UPSTREAM_FAILED', `${endpoint} left out an output that was asked for`)
    return tensor
  })
}

function decoded(raw: RawInference, endpoint: string): ReturnType<typeof decodeAnswer> {
  try {
    return decodeAnswer(raw, { maxTensors: most.tensors, maxBytes: most.answer })
  } catch (cause) {
    throw new InferenceError('UPSTREAM_FAILED', `${endpoint} answered tensors that cannot be read`, { cause })
  }
}
