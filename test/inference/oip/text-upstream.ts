import assert from 'node:assert/strict'
import { configurations, ModelConfiguration } from '../../../inference/configuration.ts'
import { decodeRequest, encodeAnswer, encodeRequest, type OipRequest } from '../../../inference/oip/codec.ts'
import type { RawInference, Tensor } from '../../../inference/port.ts'
import type { NodeOptions } from '../../../inference/server/options.ts'
import { openOipUpstream } from '../../../inference/upstream/oip.ts'
import { type Fixture, openFixture } from '../node-fixture.ts'
import { type Asked, FakeUpstream, opening } from '../upstream/fake-upstream.ts'

const limits = { maxTensors: 64, maxBytes: 67_108_864 }
const metadata = {
  platform: 'ensemble',
  inputs: [
    { name: 'text', datatype: 'BYTES', shape: [-1, -1] },
    { name: 'limit', datatype: 'INT64', shape: [-1, 1] },
  ],
  outputs: [
    { name: 'answer', datatype: 'BYTES', shape: [-1, -1] },
    { name: 'score', datatype: 'FP32', shape: [-1, 2] },
  ],
}

type Bytes = RawInference & { readonly body: Buffer }

/** What the model says to the texts that it reads. */
export type Say = (texts: readonly string[]) => readonly (string | Uint8Array)[]

export interface Reply {
  readonly status: number
  readonly body: string
  readonly raw: Bytes
}

export interface TextUpstream extends Fixture {
  readonly server: FakeUpstream
  /** What its answers are, unless a test writes them itself. */
  say: Say
  /** Instead of what it would answer. */
  verbatim: string | undefined
  /** What the model was asked last, as it came there and as it reads it. */
  asked(): { readonly raw: Bytes; readonly request: OipRequest; readonly texts: readonly string[] }
  send(raw: RawInference): Promise<Reply>
}

/** A node before a server that reads and says texts as tensors, with one principal: alice. */
export async function openTextUpstream(text: object = {}, options: Partial<NodeOptions> = {}): Promise<TextUpstream> {
  const server = await FakeUpstream.open()
  server.documents.set('/v2/models/tiny', metadata)
  const opened = opening('oip', [server.url])
  const runtime = await openOipUpstream(opened.options)
  const fixture = await openFixture({
    runtime,
    pools: [{ name: 'p', models: ['tiny'], concurrency: 8 }],
    fingerprinterOf: () => undefined,
    configurationOf: configurations({ tiny: ModelConfiguration.parse({ text }) }),
    ...options,
  })
  const { key } = await fixture.keys.create({ principal: 'alice' })
  const upstream: TextUpstream = {
    ...fixture,
    server,
    say: (texts) => texts,
    verbatim: undefined,
    asked: () => {
      const raw = rawOf(server.asked.at(-1) ?? assert.fail('the model was not asked'))
      const request = decodeRequest(raw, limits)
      return { raw, request, texts: textsOf(request.inputs, 'text') }
    },
    send: async (raw) => {
      const headers: Record<string, string> = { authorization: `Bearer ${key}`, 'content-type': 'application/octet-stream' }
      if (raw.jsonBytes !== null) headers['inference-header-content-length'] = String(raw.jsonBytes)
      const payload = Buffer.from(raw.body)
      const reply = await fixture.node.app.inject({ method: 'POST', url: '/v2/models/tiny/infer', headers, payload })
      const length = reply.headers['inference-header-content-length']
      const answered = { body: reply.rawPayload, jsonBytes: length === undefined ? null : Number(length) }
      return { status: reply.statusCode, body: reply.body, raw: answered }
    },
    close: async () => {
      await fixture.close()
      await runtime.close()
      await server.close()
    },
  }
  server.answer = (asked) => {
    const raw =
      upstream.verbatim === undefined ? answerTo(rawOf(asked), upstream.say) : { body: Buffer.from(upstream.verbatim), jsonBytes: null }
    if (raw.jsonBytes !== null) asked.response.setHeader('inference-header-content-length', raw.jsonBytes)
    asked.response.end(raw.body)
  }
  return upstream
}

function rawOf({ headers, body }: Asked): Bytes {
  const length = headers['inference-header-content-length']
  return { body, jsonBytes: typeof length === 'string' ? Number(length) : null }
}

function answerTo(raw: RawInference, say: Say): RawInference {
  const { id, inputs, outputs, binary } = decodeRequest(raw, limits)
  const said = say(textsOf(inputs, 'text')).map((one) => (typeof one === 'string' ? Buffer.from(one) : one))
  const items = inputs[0]?.shape[0] ?? 1
  const tensors: readonly Tensor[] = [
    { name: 'answer', datatype: 'BYTES', shape: [items, said.length / items], data: said },
    { name: 'score', datatype: 'FP32', shape: [items, 2], data: new Float32Array(2 * items).fill(0.123456) },
  ]
  const asked = new Map(outputs.map((output) => [output.name, output.binary]))
  const wanted = outputs.length === 0 ? tensors : tensors.filter(({ name }) => asked.has(name))
  const about = { id, modelName: 'elsewhere', modelVersion: null, parameters: { finished: true } }
  return encodeAnswer({ ...about, tensors: wanted }, (name) => asked.get(name) ?? binary)
}

/** Values of a BYTES tensor, in order. */
export function textsOf(tensors: readonly Tensor[], name: string): readonly string[] {
  const { data } = tensors.find((tensor) => tensor.name === name) ?? assert.fail(`there is no ${name}`)
  return ArrayBuffer.isView(data) ? assert.fail(`${name} has no texts`) : data.map((value) => Buffer.from(value).toString())
}

export interface Written {
  readonly binary?: boolean
  readonly id?: string | null
  readonly items?: number
  readonly outputs?: OipRequest['outputs']
}

/** A request with these values of `text`, by either encoding. */
export function requestOf(
  values: readonly (string | Uint8Array)[],
  { binary = false, id = null, items = 1, outputs = [] }: Written = {},
): RawInference {
  const data = values.map((value) => (typeof value === 'string' ? Buffer.from(value) : value))
  const text: Tensor = { name: 'text', datatype: 'BYTES', shape: [items, values.length / items], data }
  const limit: Tensor = { name: 'limit', datatype: 'INT64', shape: [items, 1], data: new BigInt64Array(items).fill(2n ** 53n - 1n) }
  return encodeRequest({ id, parameters: {}, inputs: [text, limit], outputs, binary }, () => binary)
}
