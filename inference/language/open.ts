import type { PoolConfiguration } from '../configuration.ts'
import { InferenceError } from '../errors.ts'
import type { ModelInfo, TensorRuntime, TextAnswer, TextCall, TextRuntime } from '../port.ts'
import { mulberry32 } from '../random.ts'
import type { Ask } from './ask.ts'
import { chatAsk } from './chat-ask.ts'
import { ChatFormat } from './chat-format.ts'
import { Choice } from './choice.ts'
import { completionAsk } from './completion-ask.ts'
import { CompletionFormat } from './completion-format.ts'
import { embed } from './embeddings.ts'
import type { Format, Heading } from './format.ts'
import { Generation } from './generation.ts'
import { constraintsOf } from './plan.ts'
import { dimensionsOf, Predictor } from './predictor.ts'
import { RequestError } from './refused.ts'
import { Stops } from './stops.ts'
import { encode } from './vocabulary.ts'

export interface LanguageOptions {
  /** What runs the model; stays the caller's to close. */
  readonly runtime: TensorRuntime
  /** Those of this process. */
  readonly pools: readonly PoolConfiguration[]
  /** Milliseconds since the epoch. */
  readonly clock: () => number
  /** Unguessable, of letters, digits, `-` and `_`. */
  readonly newId: () => string
  /** Uniform in [0, 1), for requests without a seed. */
  readonly random: () => number
}

/**
 * Serves models of platform `cordon-language` as the OpenAI API does, through a runtime that knows tensors alone.
 *
 * @throws InferenceError `MODEL_CORRUPT` where such a model has other tensors than a language model
 */
export function openLanguage(options: LanguageOptions): TextRuntime {
  for (const info of languageModels(options)) dimensionsOf(info)
  return new LanguageRuntime(options)
}

function languageModels({ runtime, pools }: LanguageOptions): readonly ModelInfo[] {
  const served = new Set(pools.filter(({ upstream }) => upstream === null).flatMap(({ models }) => models))
  return runtime.list().filter(({ name, platform }) => platform === 'cordon-language' && served.has(name))
}

class LanguageRuntime implements TextRuntime {
  readonly #options: LanguageOptions
  /** Answers under way, by pool; as many as pools were given. */
  readonly #depths: Map<string, number>

  constructor(options: LanguageOptions) {
    this.#options = options
    this.#depths = new Map(options.pools.filter(({ upstream }) => upstream === null).map(({ name }) => [name, 0]))
  }

  list(): readonly ModelInfo[] {
    return languageModels(this.#options).map((info) => ({
      ...info,
      operations: ['chat', 'completion', 'embedding'],
      inputs: [],
      outputs: [],
      labels: [],
    }))
  }

  info(model: string, version: string): ModelInfo | undefined {
    return this.list().find((info) => info.name === model && info.version === version)
  }

  depth(pool: string): number {
    return this.#depths.get(pool) ?? 0
  }

  ready(pool: string): boolean {
    return this.#depths.has(pool) && this.#options.runtime.ready(pool)
  }

  async close(): Promise<void> {}

  async generate(call: TextCall): Promise<TextAnswer> {
    const { runtime } = this.#options
    const info = runtime.info(call.model, call.version)
    if (info?.platform !== 'cordon-language' || !this.#depths.has(call.pool)) {
      throw new InferenceError('MODEL_NOT_FOUND', `There is no language model ${call.model} ${call.version} in the pool ${call.pool}`)
    }
    const predictor = new Predictor(runtime, { info, pool: call.pool, cancellation: call.cancellation })
    const leave = this.#enter(call.pool)
    try {
      if (call.operation === 'embedding')
        return json(200, await embed(call.request, call.model, predictor, dimensionsOf(info).hidden), predictor)
      const generation = this.#generation(call, info, predictor)
      if (!call.stream) return json(200, await generation.whole(), predictor)
      return { ...answer(200, 'text/event-stream; charset=utf-8', predictor), body: await generation.stream(leave.later()) }
    } catch (error) {
      if (error instanceof RequestError) return json(400, error, predictor)
      throw error
    } finally {
      leave.now()
    }
  }

  #generation(call: TextCall, info: ModelInfo, predictor: Predictor): Generation {
    const ask = call.operation === 'chat' ? chatAsk(call.request) : completionAsk(call.request)
    const prompts = ask.prompts.map((prompt) => encode(prompt))
    const seed = ask.seed ?? Math.floor(this.#options.random() * 2 ** 32)
    const choices = prompts.flatMap((prompt, p) =>
      Array.from({ length: ask.n }, (_, i) => choiceOf(ask, prompt, p * ask.n + i, seed, predictor.window)),
    )
    const promptTokens = prompts.reduce((sum, { length }) => sum + length, 0)
    return new Generation({ choices, predictor, promptTokens, format: this.#format(call, ask, info), includeUsage: ask.includeUsage })
  }

  #format(call: TextCall, ask: Ask, info: ModelInfo): Format {
    const { clock, newId } = this.#options
    const chat = call.operation === 'chat'
    const heading: Heading = {
      id: `${chat ? 'chatcmpl' : 'cmpl'}-${newId()}`,
      created: Math.floor(clock() / 1000),
      model: call.model,
      system_fingerprint: `fp_${(info.digest ?? '').replace('sha256:', '').slice(0, 12)}`,
    }
    const common = { heading, logprobs: ask.top !== null, includeUsage: ask.includeUsage && call.stream }
    if (chat) return new ChatFormat({ ...common, calls: ask.plan.kind === 'call', choices: ask.n, newId })
    const starts = ask.prompts.flatMap((prompt) => Array.from({ length: ask.n }, () => (ask.echo ? prompt : '')))
    return new CompletionFormat({ ...common, starts })
  }

  /** Counts an answer in; it is out at `now()`, or once what `later()` gave is called. Both are harmless when repeated. */
  #enter(pool: string): { now(): void; later(): () => void } {
    const add = (by: number) => this.#depths.set(pool, this.depth(pool) + by)
    add(1)
    let held = true
    let postponed = false
    const leave = () => {
      if (held) add(-1)
      held = false
    }
    return {
      now: () => {
        if (!postponed) leave()
      },
      later: () => {
        postponed = true
        return leave
      },
    }
  }
}

function choiceOf(ask: Ask, prompt: Int32Array, index: number, seed: number, window: number): Choice {
  return new Choice({
    index,
    prompt,
    window,
    ...constraintsOf(ask.plan),
    sampling: ask.sampling,
    stops: new Stops(ask.stops),
    maxTokens: ask.maxTokens,
    top: ask.top ?? 0,
    random: mulberry32(streamOf(seed, index)),
  })
}

/** A seed of 32 bits of its own for each answer, from one of up to 53 bits. */
function streamOf(seed: number, index: number): number {
  const high = Math.floor(seed / 2 ** 32)
  return (seed ^ Math.imul(high, 0x85ebca6b) ^ Math.imul(index, 0x9e3779b9)) >>> 0
}

function json(status: number, content: object, predictor: Predictor): TextAnswer {
  const bytes = Buffer.from(JSON.stringify(content))
  return {
    ...answer(status, 'application/json; charset=utf-8', predictor),
    body: (async function* () {
      yield bytes
    })(),
  }
}

function answer(status: number, contentType: string, { queueMs }: Predictor): Omit<TextAnswer, 'body'> {
  return { status, contentType, endpoint: null, queueMs }
}
