import { performance } from 'node:perf_hooks'
import { type MessagePort, workerData } from 'node:worker_threads'
import { build } from 'hdr-histogram-js'
import { Pool } from 'undici'

// The clients of benchNode, in a thread of their own: each asks, waits for the answer, and asks again.

export interface LoadRequest {
  readonly origin: string
  readonly headers: Readonly<Record<string, string>>
  readonly bodies: readonly string[]
  readonly clients: number
  readonly ms: number
}

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  readonly p50Ms: number
  readonly p99Ms: number
}

async function load({ origin, headers, bodies, clients, ms }: LoadRequest): Promise<LoadResult> {
  const pool = new Pool(origin, { connections: clients, pipelining: 1 })
  const histogram = build({ lowestDiscernibleValue: 1, highestTrackableValue: 60_000_000, numberOfSignificantValueDigits: 3 })
  const begin = performance.now()
  let requests = 0
  const client = async (first: number) => {
    for (let i = first; performance.now() - begin < ms; i++) {
      const started = performance.now()
      const body = bodies[i % bodies.length] ?? ''
      const reply = await pool.request({ method: 'POST', path: '/v2/models/digits/infer', headers: { ...headers }, body })
      const text = await reply.body.text()
      if (reply.statusCode !== 200) throw new Error(`${reply.statusCode}: ${text}`)
      histogram.recordValue(Math.round((performance.now() - started) * 1_000))
      requests++
    }
  }
  await Promise.all(Array.from({ length: clients }, (_, index) => client(index * 17)))
  const seconds = (performance.now() - begin) / 1_000
  await pool.close()
  const ofMs = (percentile: number) => histogram.getValueAtPercentile(percentile) / 1_000
  return { requests, perSecond: requests / seconds, p50Ms: ofMs(50), p99Ms: ofMs(99) }
}

const { request, answer } = workerData as { request: LoadRequest; answer: MessagePort }
answer.postMessage(await load(request), [])
