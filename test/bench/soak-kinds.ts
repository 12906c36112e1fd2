import { loadMnist, pixels } from '../../inference/datasets/mnist.ts'
import type { Kind } from './serving/generator.ts'
import { chatBody, chatKind, inferBodies, inferKind } from './serving/sides.ts'

/** A kind of request with the statuses that are right for it. */
export interface Sort extends Kind {
  readonly expected: readonly string[]
}

const json = { 'content-type': 'application/json' }

/** What real clients send, and what others do: most get an answer, some hang up, some are refused. */
export function kindsOf(authorization: Readonly<Record<string, string>>, languages: readonly string[]): readonly Sort[] {
  const headers = { ...json, ...authorization }
  const infer = inferKind(inferBodies(100))
  const served = { headers, expected: ['200'] }
  return [
    { ...infer, ...served, weight: 6 },
    { ...infer, ...served, name: 'infer 8', bodies: inferBodies(20, 8), weight: 1 },
    { ...binaryKind(authorization), expected: ['200'], weight: 3 },
    { ...chatKind(false), ...served, weight: 1 },
    { ...chatKind(true), ...served, weight: 2 },
    // A status comes before the first byte; who hangs up at that has seen it.
    { ...chatKind(true), ...served, name: 'stream left', leaves: true, weight: 1 },
    ...languages.map((model) => ({ ...chatKind(true), ...served, name: model, bodies: [chatBody(true, model, 8)], weight: 1 })),
    { ...infer, name: 'no key', headers: json, expected: ['401'], weight: 1 },
    {
      ...infer,
      name: 'wrong shape',
      headers,
      bodies: [Buffer.from('{"inputs":[{"name":"image","shape":[1,2],"datatype":"FP32","data":[1,2]}]}')],
      expected: ['400', '422'],
      weight: 1,
    },
    { ...infer, name: 'no JSON', headers, bodies: [Buffer.from('{"inputs":[')], expected: ['400'], weight: 1 },
  ]
}

/** Values behind the JSON, as Triton's clients send them. */
function binaryKind(authorization: Readonly<Record<string, string>>): Omit<Kind, 'weight'> {
  const head = Buffer.from(
    JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', parameters: { binary_data_size: 4 * pixels } }] }),
  )
  const { images } = loadMnist('test')
  const bodies = Array.from({ length: 100 }, (_, item) => {
    const values = Float32Array.from(images.subarray(item * pixels, (item + 1) * pixels))
    return Buffer.concat([head, new Uint8Array(values.buffer)])
  })
  const headers = { ...authorization, 'content-type': 'application/octet-stream', 'inference-header-content-length': String(head.length) }
  return { name: 'infer binary', method: 'POST', path: '/v2/models/digits/infer', headers, bodies }
}
