import { PoolConfiguration } from '../../../inference/configuration.ts'
import { InferenceError } from '../../../inference/errors.ts'
import { openLanguage } from '../../../inference/language/open.ts'
import { encode, newlineToken, vocabularySize } from '../../../inference/language/vocabulary.ts'
import type { InferCall, ModelInfo, TensorRuntime, TextCall } from '../../../inference/port.ts'

const window = 8

export const languageInfo: ModelInfo = {
  name: 'language',
  version: '1',
  platform: 'cordon-language',
  operations: ['chat', 'completion', 'embedding'],
  inputs: [{ name: 'tokens', datatype: 'INT32', shape: [-1, window] }],
  outputs: [
    { name: 'logits', datatype: 'FP32', shape: [-1, vocabularySize] },
    { name: 'hidden', datatype: 'FP32', shape: [-1, 4] },
  ],
  labels: [],
  digest: 'sha256:0123456789abcdef',
}

/** The logit of the letter that follows; every other token has 0. */
export const nextLogit = 5

/**
 * A model that knows the alphabet: after `a` comes `b`, after `z` a newline, after anything else `a`. `hidden` is
 * [1, the last token, 0, 0].
 */
export class AlphabetRuntime implements TensorRuntime {
  readonly backend = 'none'
  readonly calls: InferCall[] = []
  /** Thrown by the run of that number, from 0. */
  failAt = -1

  list(): readonly ModelInfo[] {
    return [languageInfo]
  }

  info(model: string, version: string): ModelInfo | undefined {
    return model === 'language' && version === '1' ? languageInfo : undefined
  }

  async infer(call: InferCall) {
    if (this.calls.push(call) - 1 === this.failAt) throw new InferenceError('OVERLOADED', 'Too many items wait')
    const data = call.inputs[0]?.data
    if (!(data instanceof Int32Array)) throw new Error('tokens are INT32')
    const width = call.outputs[0] === 'hidden' ? 4 : vocabularySize
    const values = new Float32Array(call.items * width)
    for (let i = 0; i < call.items; i++) {
      const last = data[(i + 1) * window - 1] ?? 0
      if (width === 4) values.set([1, last], i * 4)
      else values[i * width + successor(last)] = nextLogit
    }
    const tensors = [{ name: call.outputs[0] ?? '', datatype: 'FP32' as const, shape: [call.items, width], data: values }]
    return { tensors: () => tensors, raw: null, endpoint: null, queueMs: 0.5 }
  }

  statistics() {
    return undefined
  }

  tensorBytes() {
    return 0
  }

  depth() {
    return 0
  }

  ready(pool: string) {
    return pool === 'local'
  }

  async close() {}
}

const [letterA = 0, letterZ = 0] = encode('az')

function successor(token: number): number {
  if (token < letterA || token > letterZ) return letterA
  return token === letterZ ? newlineToken : token + 1
}

export const pools = [
  PoolConfiguration.parse({ name: 'local', models: ['language'] }),
  PoolConfiguration.parse({ name: 'away', models: ['language'], upstream: { protocol: 'openai', endpoints: ['http://127.0.0.1:1'] } }),
]

/** Ids count up from 1, the clock stands at 2,000 seconds, and chance is always 0.5. */
export function openAlphabet() {
  const runtime = new AlphabetRuntime()
  let ids = 0
  const language = openLanguage({ runtime, pools, clock: () => 2_000_999, newId: () => String(++ids), random: () => 0.5 })
  return { runtime, language }
}

export function textCall(operation: TextCall['operation'], request: Record<string, unknown>, cancellation = endless()): TextCall {
  return {
    operation,
    model: 'language',
    version: '1',
    pool: 'local',
    request,
    body: Buffer.from(JSON.stringify(request)),
    stream: request['stream'] === true,
    headers: {},
    cancellation,
  }
}

/** A request that ends when `aborted` is set. */
export function endless() {
  return { deadline: Infinity, aborted: false, onEnd: () => {}, offEnd: () => {} }
}
