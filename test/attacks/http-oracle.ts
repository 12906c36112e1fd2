import type { Answer, Oracle } from './oracle.ts'

export interface HttpOracleOptions {
  /** The node's address, `http://host:port`. */
  readonly url: string
  readonly model: string
  /** The key to call with; asked before every query, so that an attacker can rotate over many. */
  readonly key: () => string
  readonly onAnswer?: (answer: Answer, elapsedMs: number) => void
  /** Told of the id that the node gave to a request that it answered. */
  readonly onId?: (id: string) => void
}

/** A running node as an attacker sees it, over the Open Inference Protocol; one image a query. */
export function httpOracle({ url, model, key, onAnswer, onId }: HttpOracleOptions): Oracle {
  const address = `${url}/v2/models/${model}/infer`
  return {
    async query(image) {
      const began = performance.now()
      const response = await fetch(address, {
        method: 'POST',
        headers: { authorization: `Bearer ${key()}`, 'content-type': 'application/json' },
        body: JSON.stringify({ inputs: [{ name: 'image', shape: [1, 28, 28, 1], datatype: 'FP32', data: Array.from(image) }] }),
      })
      const answer = await read(response, onId)
      onAnswer?.(answer, performance.now() - began)
      return answer
    },
  }
}

async function read(response: Response, onId?: (id: string) => void): Promise<Answer> {
  if (response.status !== 200) {
    await response.arrayBuffer()
    if (![401, 403, 429, 503].includes(response.status)) throw new Error(`the node answered ${response.status}`)
    const after = Number(response.headers.get('retry-after') ?? Number.NaN)
    return { refused: true, status: response.status, retryAfterMs: Number.isNaN(after) ? null : after * 1_000 }
  }
  const body = (await response.json()) as { id: string; outputs: { data: number[] }[] }
  onId?.(body.id)
  const probabilities = Float32Array.from(body.outputs[0]?.data ?? [])
  let label = 0
  for (let i = 1; i < probabilities.length; i++) if ((probabilities[i] ?? 0) > (probabilities[label] ?? 0)) label = i
  return { refused: false, label, probabilities }
}
