import { once } from 'node:events'
import { createServer, type ServerResponse } from 'node:http'
import { z } from 'zod'

const Value = z.union([
  z.object({ stringValue: z.string() }).transform(({ stringValue }) => stringValue),
  z.object({ boolValue: z.boolean() }).transform(({ boolValue }) => boolValue),
  z.object({ intValue: z.coerce.number() }).transform(({ intValue }) => intValue),
  z.object({ doubleValue: z.number() }).transform(({ doubleValue }) => doubleValue),
  z
    .object({ arrayValue: z.object({ values: z.array(z.object({ stringValue: z.string() })) }) })
    .transform(({ arrayValue }) => arrayValue.values.map(({ stringValue }) => stringValue)),
])
const Attributes = z
  .array(z.object({ key: z.string(), value: Value }))
  .transform((pairs) => Object.fromEntries(pairs.map(({ key, value }) => [key, value])))
const Nanos = z.union([z.string(), z.number()]).transform((text) => Number(BigInt(text) / 1_000n) / 1_000)

/** One span as OTLP's JSON has it; times in milliseconds. */
const Span = z.object({
  traceId: z.string().regex(/^[0-9a-f]{32}$/),
  spanId: z.string().regex(/^[0-9a-f]{16}$/),
  parentSpanId: z.string().default(''),
  traceState: z.string().optional(),
  name: z.string(),
  kind: z.int(),
  startTimeUnixNano: Nanos,
  endTimeUnixNano: Nanos,
  attributes: Attributes,
  status: z.object({ code: z.int().default(0) }),
  flags: z.int().optional(),
})
export type CollectedSpan = z.infer<typeof Span>

const Point = z.object({
  attributes: Attributes,
  count: z.coerce.number(),
  sum: z.number(),
  bucketCounts: z.array(z.coerce.number()),
  explicitBounds: z.array(z.number()),
})
const Metric = z.object({
  name: z.string(),
  unit: z.string(),
  histogram: z.object({ aggregationTemporality: z.int(), dataPoints: z.array(Point) }),
})
const Traces = z.object({
  resourceSpans: z.array(
    z.object({ resource: z.object({ attributes: Attributes }), scopeSpans: z.array(z.object({ spans: z.array(Span) })) }),
  ),
})
const Metrics = z.object({ resourceMetrics: z.array(z.object({ scopeMetrics: z.array(z.object({ metrics: z.array(Metric) })) })) })

export interface Collector {
  readonly url: string
  readonly spans: CollectedSpan[]
  readonly metrics: z.infer<typeof Metric>[]
  readonly resources: z.infer<typeof Attributes>[]
  /** Every body as text, and the headers that came with it. */
  readonly bodies: string[]
  readonly headers: NodeJS.Dict<string | string[]>[]
  /** How it answers; with 200 unless it is told otherwise. */
  answer: (response: ServerResponse) => void
  close(): Promise<void>
}

/** Takes OTLP over HTTP, as JSON, and reads it with the protocol's own words. */
export async function openCollector(): Promise<Collector> {
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    collector.bodies.push(body)
    collector.headers.push(request.headers)
    if (request.url === '/v1/traces') takeTraces(collector, body)
    else takeMetrics(collector, body)
    collector.answer(response)
  })
  const collector: Omit<Collector, 'url'> = {
    spans: [],
    metrics: [],
    resources: [],
    bodies: [],
    headers: [],
    answer: (response) => response.setHeader('content-type', 'application/json').end('{}'),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the collector has no port')
  return Object.assign(collector, { url: `http://127.0.0.1:${address.port}` })
}

type Taken = Pick<Collector, 'spans' | 'metrics' | 'resources'>

function takeTraces({ spans, resources }: Taken, body: string): void {
  for (const { resource, scopeSpans } of Traces.parse(JSON.parse(body)).resourceSpans) {
    resources.push(resource.attributes)
    spans.push(...scopeSpans.flatMap((scope) => scope.spans))
  }
}

function takeMetrics({ metrics }: Taken, body: string): void {
  for (const { scopeMetrics } of Metrics.parse(JSON.parse(body)).resourceMetrics)
    metrics.push(...scopeMetrics.flatMap((scope) => scope.metrics))
}
