import { configurations, ModelConfiguration } from '../../../inference/configuration.ts'
import type { ModelInfo, TextAnswer, TextCall, TextRuntime } from '../../../inference/port.ts'
import type { NodeOptions } from '../../../inference/server/options.ts'
import type { RequestEvent } from '../../../schemas/index.ts'
import { type Fixture, openFixture } from '../node-fixture.ts'

const info: ModelInfo = {
  name: 'parrot',
  version: '1',
  platform: 'test',
  operations: ['chat', 'completion', 'embedding'],
  inputs: [],
  outputs: [],
  labels: [],
  digest: null,
}

/** What the runtime is to answer. */
export interface Script {
  readonly status?: number
  readonly contentType?: string
  readonly body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>
}

/** A language model that says what the test wrote down, and remembers what it was asked. */
export class ScriptedText implements TextRuntime {
  readonly calls: TextCall[] = []
  /** Bodies that were iterated to their end, or returned. */
  ended = 0
  script: (call: TextCall) => Script | Promise<Script>

  constructor(script: ScriptedText['script'] = () => json(said('hello'))) {
    this.script = script
  }

  list(): readonly ModelInfo[] {
    return [info]
  }

  info(model: string, version: string): ModelInfo | undefined {
    return model === info.name && version === info.version ? info : undefined
  }

  depth(): number {
    return 0
  }

  ready(): boolean {
    return true
  }

  async generate(call: TextCall): Promise<TextAnswer> {
    this.calls.push(call)
    const { status = 200, contentType, body } = await this.script(call)
    return {
      status,
      contentType: contentType ?? (call.stream ? 'text/event-stream' : 'application/json'),
      body: this.#counted(body),
      endpoint: 'scripted',
      queueMs: 0,
    }
  }

  async close(): Promise<void> {}

  async *#counted(body: Script['body']): AsyncGenerator<Uint8Array> {
    try {
      yield* body
    } finally {
      this.ended++
    }
  }
}

export function json(value: unknown): Script {
  return { body: [Buffer.from(JSON.stringify(value))], contentType: 'application/json' }
}

/** Server-sent events as servers of the API write them; strings go out as they are. */
export function events(...values: readonly unknown[]): Buffer[] {
  return values.map((value) => Buffer.from(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`))
}

const head = { id: 'chatcmpl-1', created: 1, model: 'parrot' }

/** A whole answer to a chat. */
export function said(
  content: string,
  change: object = {},
  usage: object | null = { prompt_tokens: 9, completion_tokens: 2, total_tokens: 11 },
) {
  const choice = { index: 0, message: { role: 'assistant', content }, logprobs: null, finish_reason: 'stop', ...change }
  return { ...head, object: 'chat.completion', choices: [choice], ...(usage === null ? {} : { usage }) }
}

/** One event of a streamed chat. */
export function delta(add: object, finish: string | null = null, change: object = {}) {
  return { ...head, object: 'chat.completion.chunk', choices: [{ index: 0, delta: add, logprobs: null, finish_reason: finish, ...change }] }
}

export const usage = {
  ...head,
  object: 'chat.completion.chunk',
  choices: [],
  usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
}

/** A streamed chat: who speaks, the words, the end, usage, `[DONE]`. */
export function spoken(...words: readonly string[]): Buffer[] {
  return events(
    delta({ role: 'assistant', content: '' }),
    ...words.map((content) => delta({ content })),
    delta({}, 'stop'),
    usage,
    '[DONE]',
  )
}

export interface TextFixture extends Fixture {
  readonly text: ScriptedText
  /** Asks the node, without a socket between. */
  ask(path: string, body: unknown, headers?: Readonly<Record<string, string>>): Promise<Answer>
  /** The one event that was written since the last look. */
  event(): Promise<RequestEvent>
  readonly key: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: string
  json(): Record<string, unknown> & { readonly error?: Readonly<Record<string, unknown>> }
}

/** A node with the scripted model, under this configuration of `text`. */
export async function openTextFixture(bounds: object = {}, options: Partial<NodeOptions> = {}): Promise<TextFixture> {
  const text = new ScriptedText()
  const fixture = await openFixture({
    text,
    pools: [{ name: 'a', models: ['parrot', 'tiny'], concurrency: 128 }],
    configurationOf: configurations({ parrot: ModelConfiguration.parse({ pricePerTokenOut: 0.25, text: bounds }) }),
    ...options,
  })
  const { key } = await fixture.keys.create({ principal: 'alice' })
  let seen = 0
  return {
    ...fixture,
    text,
    key,
    ask: async (path, body, headers = {}) => {
      const response = await fixture.node.app.inject({
        method: body === undefined ? 'GET' : 'POST',
        url: path,
        headers: { authorization: `Bearer ${key}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
        ...(body === undefined ? {} : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body) }),
      })
      return { status: response.statusCode, headers: response.headers, body: response.body, json: () => response.json() }
    },
    event: async () => {
      const all = await fixture.eventsOf('requests')
      const fresh = all.slice(seen)
      seen = all.length
      const [only] = fresh
      if (only === undefined || fresh.length !== 1) throw new Error(`expected one request event, found ${fresh.length}`)
      return only
    },
  }
}

export const hello = { model: 'parrot', messages: [{ role: 'user', content: 'hello' }] }
