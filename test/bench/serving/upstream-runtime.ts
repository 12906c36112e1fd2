import { Pool } from 'undici'
import type { InferCall, Inference, ModelInfo, TensorRuntime, TextAnswer, TextCall, TextRuntime } from '../../../inference/port.ts'
import { chatModel } from './answers.ts'

const digits: ModelInfo = {
  ...{ name: 'digits', version: '2', platform: 'fixed', operations: ['infer'], labels: [], digest: null },
  inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 28, 28, 1], range: [0, 1] }],
  outputs: [{ name: 'probabilities', datatype: 'FP32', shape: [-1, 10] }],
}
const echo: ModelInfo = {
  ...{ name: chatModel, version: '1', platform: 'openai', operations: ['chat'], inputs: [], outputs: [], labels: [], digest: null },
}

export function openTensors(port: number): TensorRuntime {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 128, pipelining: 1 })
  return {
    ...base([digits]),
    backend: 'none',
    infer: async ({ raw }: InferCall): Promise<Inference> => {
      const headers = { 'content-type': 'application/json' }
      const answer = await pool.request({ method: 'POST', path: '/v2/models/digits/infer', headers, body: raw.body })
      const body = Buffer.from(await answer.body.arrayBuffer())
      const tensors = () => {
        const { outputs } = JSON.parse(body.toString()) as { outputs: { name: string; shape: number[]; data: number[] }[] }
        return outputs.map(({ name, shape, data }) => ({ name, shape, datatype: 'FP32' as const, data: Float32Array.from(data) }))
      }
      return { tensors, raw: { body, jsonBytes: null }, endpoint: 'bench', queueMs: 0 }
    },
    statistics: () => undefined,
    tensorBytes: () => 0,
    close: () => pool.close(),
  }
}

export function openText(port: number): TextRuntime {
  const pool = new Pool(`http://127.0.0.1:${port}`, { connections: 128, pipelining: 1 })
  return {
    ...base([echo]),
    generate: async ({ body, cancellation }: TextCall): Promise<TextAnswer> => {
      const headers = { 'content-type': 'application/json' }
      const { signal } = cancellation
      const answer = await pool.request({ method: 'POST', path: '/v1/chat/completions', headers, body, signal })
      const contentType = String(answer.headers['content-type'])
      return { status: answer.statusCode, contentType, body: answer.body, endpoint: 'bench', queueMs: 0 }
    },
    close: () => pool.close(),
  }
}

function base(models: readonly ModelInfo[]) {
  return {
    list: () => models,
    info: (name: string, version: string) => models.find((info) => info.name === name && info.version === version),
    depth: () => 0,
    ready: () => true,
  }
}
