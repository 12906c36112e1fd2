import type { ModelInfo, TextAnswer, TextCall, TextRuntime } from '../port.ts'
import type { Answer } from './answer.ts'
import { ask } from './checks.ts'
import type { Endpoint } from './endpoint.ts'
import { refused } from './failure.ts'
import { headersOf, standingHeaders } from './headers.ts'
import { Refresh } from './refresh.ts'
import { configured, Upstream, type UpstreamOptions } from './upstream.ts'
import { UpstreamRuntime } from './upstream-runtime.ts'

/** Most bytes of an answer that is no stream, and of a refusal. */
const most = { answer: 67_108_864, refusal: 65_536 }

const paths = { chat: '/v1/chat/completions', completion: '/v1/completions', embedding: '/v1/embeddings' } as const

/**
 * A pool whose models run behind the OpenAI API: vLLM, llama.cpp, LiteLLM.
 *
 * Opens whether or not the upstream is there; waits for one check of each endpoint, three times `health.timeoutMs` at most.
 */
export async function openOpenaiUpstream(options: UpstreamOptions): Promise<TextRuntime> {
  const runtime = new OpenaiUpstream(options)
  await runtime.start()
  return runtime
}

class OpenaiUpstream extends UpstreamRuntime implements TextRuntime {
  protected readonly upstream: Upstream
  readonly #standing: readonly string[]
  readonly #infos: readonly ModelInfo[]
  readonly #refresh: Refresh

  constructor(options: UpstreamOptions) {
    super()
    const { pool, token, log } = options
    const settings = configured(pool)
    const { version, operations } = settings
    const bare = { version, platform: 'openai', operations, inputs: [], outputs: [], labels: [], digest: null }
    this.#infos = pool.models.map((name) => ({ name, ...bare }))
    this.#standing = standingHeaders(token)
    this.#refresh = new Refresh(log, pool.name)
    this.upstream = new Upstream(options, settings, this.#standing, settings.health.path ?? '/v1/models', (endpoint) =>
      this.#survey(endpoint),
    )
  }

  list(): readonly ModelInfo[] {
    return this.#infos
  }

  info(model: string, version: string): ModelInfo | undefined {
    return this.#infos.find((info) => info.name === model && info.version === version)
  }

  async generate(call: TextCall): Promise<TextAnswer> {
    const headers = headersOf(this.#standing, 'application/json', call.headers)
    const outgoing = { method: 'POST', path: paths[call.operation], headers, body: this.#bodyOf(call) } as const
    const answer = await this.upstream.send(outgoing, call.cancellation)
    const { status, endpoint, queueMs } = answer
    const contentType = answer.header('content-type') ?? 'application/json'
    if (answer.refuses) {
      const body = await answer.collect(most.refusal)
      if (!isJsonObject(body)) throw refused(status)
      return { status, contentType: 'application/json', body: whole(body), endpoint, queueMs }
    }
    if (!/^text\/event-stream/i.test(contentType)) answer.reception.limit = most.answer
    return { status, contentType, body: new Body(answer), endpoint, queueMs }
  }

  /** The bytes as they came, but for a model that is called otherwise there. */
  #bodyOf({ model, request, body }: TextCall): Uint8Array {
    const named = this.upstream.nameOf(model)
    return named === model ? body : Buffer.from(JSON.stringify({ ...request, model: named }))
  }

  /** llama.cpp answers to any name, so a model that is not listed is odd and no more. */
  #survey(endpoint: Endpoint): Promise<void> {
    const { health } = this.upstream.settings
    let listed: ReadonlySet<string> | undefined
    return this.#refresh.when(
      this.#infos.map(({ name }) => name),
      async (model) => {
        listed ??= await listOf(endpoint, this.#standing, health.timeoutMs)
        return listed.has(this.upstream.nameOf(model)) ? undefined : 'the upstream does not list it'
      },
    )
  }
}

/** A body for one reader; leaving the iteration, even before its first step, ends the upstream's work. */
class Body implements AsyncIterableIterator<Uint8Array> {
  readonly #answer: Answer

  constructor(answer: Answer) {
    this.#answer = answer
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    const value = await this.#answer.next()
    return value === undefined ? { done: true, value } : { done: false, value }
  }

  async return(): Promise<IteratorResult<Uint8Array>> {
    this.#answer.cancel()
    return { done: true, value: undefined }
  }
}

async function* whole(body: Uint8Array): AsyncGenerator<Uint8Array> {
  yield body
}

function isJsonObject(body: Buffer): boolean {
  try {
    const parsed: unknown = JSON.parse(body.toString())
    return typeof parsed === 'object' && parsed !== null
  } catch {
    return false
  }
}

async function listOf(endpoint: Endpoint, headers: readonly string[], timeoutMs: number): Promise<ReadonlySet<string>> {
  const { status, body } = await ask(endpoint, '/v1/models', headers, timeoutMs)
  if (status !== 200) throw new Error(`status ${status}`)
  const parsed: unknown = JSON.parse(body.toString())
  const data: unknown = typeof parsed === 'object' && parsed !== null && 'data' in parsed ? parsed.data : undefined
  if (!Array.isArray(data)) throw new Error('a list of models that cannot be understood')
  return new Set(data.flatMap((one: unknown) => (typeof one === 'object' && one !== null && 'id' in one ? String(one.id) : [])))
}
