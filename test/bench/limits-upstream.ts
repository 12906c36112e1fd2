import { once } from 'node:events'
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { seeded } from '../attacks/random.ts'

/** Of one token. Most that a call of {@link mostTokens} sets aside comes to about 1, and what it takes to 0.07 to 0.44. */
export const prices = { in: 0.001, out: 0.01 }
/** What each call asks for. */
export const mostTokens = 100
export const billedModel = 'billed'

/** As the OpenAI API bills. */
export interface BilledUsage {
  readonly prompt_tokens: number
  readonly completion_tokens: number
}

export function costOf({ prompt_tokens, completion_tokens }: BilledUsage): number {
  return prompt_tokens * prices.in + completion_tokens * prices.out
}

/** A model server that computes nothing and keeps the account of what it was asked for: the truth, which no limiter touches. */
export class BillingUpstream {
  readonly #server: Server
  readonly #random = seeded(1)
  readonly #holdMs: readonly [from: number, to: number]
  url = ''
  /** Of every call that it began, whoever lived to hear of it. */
  spent = 0

  private constructor(holdMs: readonly [from: number, to: number]) {
    this.#holdMs = holdMs
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      request.resume()
      request.on('end', () => this.#answer(request.method ?? '', response))
    })
  }

  /** @param holdMs how long it takes for an answer */
  static async open(holdMs: readonly [from: number, to: number]): Promise<BillingUpstream> {
    const upstream = new BillingUpstream(holdMs)
    // All nodes connect at once: a shorter queue would refuse some of them.
    upstream.#server.listen({ port: 0, host: '127.0.0.1', backlog: 4_096 })
    await once(upstream.#server, 'listening')
    upstream.url = `http://127.0.0.1:${(upstream.#server.address() as AddressInfo).port}`
    return upstream
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #answer(method: string, response: ServerResponse): void {
    if (method !== 'POST') return send(response, { object: 'list', data: [{ id: billedModel, object: 'model' }] })
    const usage = { prompt_tokens: 20 + this.#random.below(20), completion_tokens: 5 + this.#random.below(35) }
    this.spent += costOf(usage)
    const began = performance.now()
    setTimeout(() => send(response, answerOf(usage, performance.now() - began)), this.#random.between(...this.#holdMs))
  }
}

/** How long the model took stands in the answer: what a client waited beyond that is the node's. */
function answerOf(usage: BilledUsage, heldMs: number): object {
  return {
    ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 1, model: billedModel, held_ms: heldMs },
    choices: [{ index: 0, message: { role: 'assistant', content: 'Yes.' }, finish_reason: 'stop' }],
    usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
  }
}

function send(response: ServerResponse, value: object): void {
  if (response.destroyed) return
  const body = JSON.stringify(value)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
}
