import { fileURLToPath } from 'node:url'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { decode } from '../../bus/codec.ts'
import type { OutgoingRecord, Position } from '../../bus/port.ts'
import type { TextAnswer, TextCall, TextRuntime } from '../../inference/port.ts'
import { openRuntime } from '../../inference/runtime/open.ts'
import type { Exchange } from '../../inference/server/exchange.ts'
import { passThrough, type Tracing } from '../../inference/server/tracing.ts'
import { RequestEvent } from '../../schemas/request.ts'
import { MemoryBus } from '../inference/memory-bus.ts'
import { openFixture } from '../inference/node-fixture.ts'
import { addressKey, limits, type Order, partsOf, type Recorded, type Report, secrets } from './orders.ts'

// A node in a process of its own, to be attacked: the digits model, a scripted language model, and a bus that
// counts what it is given, tells who attacks how requests ended, and keeps none of it.

class CountingBus extends MemoryBus {
  events = 0
  leaks = 0
  hidden: readonly string[] = []

  override async publish(records: readonly OutgoingRecord[]): Promise<readonly Position[]> {
    if (records.some(({ topic }) => topic === 'keys')) return super.publish(records)
    const recorded: Recorded['recorded'][number][] = []
    for (const record of records) {
      const { topic, value } = record
      if (topic === 'requests') {
        this.events++
        const { agent, outcome, status } = RequestEvent.parse(decode({ ...record, partition: 0, offset: 0 }).data)
        recorded.push([agent, outcome, status])
      }
      const text = Buffer.from(value ?? []).toString('latin1')
      if (this.hidden.some((secret) => text.includes(secret))) this.leaks++
    }
    if (recorded.length > 0) process.send?.({ recorded } satisfies Recorded)
    return records.map(({ topic }) => ({ topic, partition: 0, offset: 0 }))
  }
}

/** How many exchanges began and ended, and how many ended twice. */
class Counting implements Tracing {
  begun = 0
  ended = 0
  twice = 0
  readonly #ended = new WeakSet<Exchange>()

  begin(headers: Parameters<Tracing['begin']>[0]) {
    this.begun++
    return passThrough.begin(headers)
  }

  end(exchange: Exchange) {
    this.ended++
    if (this.#ended.has(exchange)) this.twice++
    this.#ended.add(exchange)
  }

  async close() {}
}

const encoder = new TextEncoder()
const chunk = (delta: object, reason: string | null) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  created: 1,
  model: 'parrot',
  choices: [{ index: 0, delta, finish_reason: reason }],
})
const events = [chunk({ role: 'assistant', content: '' }, null), chunk({ content: 'aye' }, null), chunk({}, 'stop')]
const whole = {
  id: 'chatcmpl-1',
  object: 'chat.completion',
  created: 1,
  model: 'parrot',
  choices: [{ index: 0, message: { role: 'assistant', content: 'aye' }, logprobs: null, finish_reason: 'stop' }],
  usage: { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 },
}

/** Says `aye` to everything. */
const parrot: TextRuntime = {
  list: () => [info],
  info: (model, version) => (model === info.name && version === info.version ? info : undefined),
  depth: () => 0,
  ready: (pool) => pool === 'text',
  generate: async ({ stream }: TextCall): Promise<TextAnswer> => ({
    status: 200,
    contentType: stream ? 'text/event-stream' : 'application/json',
    body: stream ? say() : whole_(),
    endpoint: null,
    queueMs: 0,
  }),
  close: async () => {},
}
const info = {
  name: 'parrot',
  version: '1',
  platform: 'openai',
  operations: ['chat', 'completion'] as const,
  inputs: [],
  outputs: [],
  labels: [],
  digest: null,
}

async function* say() {
  for (const event of events) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    yield encoder.encode(`data: ${JSON.stringify(event)}\n\n`)
  }
  yield encoder.encode('data: [DONE]\n\n')
}

async function* whole_() {
  yield encoder.encode(JSON.stringify(whole))
}

const bus = new CountingBus()
const tracing = new Counting()
const log = pino({ level: 'info' })
const pools = [
  { name: 'digits', models: ['digits'], concurrency: 8 },
  { name: 'text', models: ['parrot'], concurrency: 4 },
]
const registry = new Registry()
const modelsDir = fileURLToPath(new URL('../../inference/models/', import.meta.url))
const runtime = await openRuntime({ modelsDir, pools: pools.slice(0, 1), maxQueueItems: 256, registry, log, backend: 'wasm' })
const fixture = await openFixture(
  { runtime, text: parrot, pools, tracing, log, limits, registry, addressKey, fingerprinterOf: () => undefined },
  { bus },
)
const made = await fixture.keys.create({ principal: 'mallory' })
const ordinary = await fixture.keys.create({ principal: 'alice' })
bus.hidden = [...partsOf(made.key), ...partsOf(ordinary.key), ...secrets]
const { port } = await fixture.node.start({ host: '127.0.0.1', port: 0 })

async function report(): Promise<Report> {
  await fixture.emitter.drain()
  const counters = await registry.getSingleMetric('cordon_requests_unrecorded_total')?.get()
  const unrecorded = counters?.values[0]?.value ?? 0
  const { rss, heapUsed } = process.memoryUsage()
  const { inFlight } = fixture.node.pulse().detail as { inFlight: number }
  const { begun, ended, twice } = tracing
  return { begun, ended, twice, events: bus.events, leaks: bus.leaks, unrecorded, rss, heapUsed, inFlight }
}

process.on('message', (order: Order) => {
  // The clock stands: the allowance of events of anonymous requests comes back with it.
  fixture.clock.now += 1_000
  if (order === 'report') void report().then((said) => process.send?.(said))
  else void fixture.close().then(() => process.exit(0))
})
process.send?.({ port, hostile: made.key, ordinary: ordinary.key })
