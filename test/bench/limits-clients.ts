import { setTimeout as sleep } from 'node:timers/promises'
import { Agent, request } from 'undici'
import { z } from 'zod'
import { billedModel, costOf, mostTokens } from './limits-upstream.ts'

const Answer = z.object({ held_ms: z.number(), usage: z.object({ prompt_tokens: z.int(), completion_tokens: z.int() }) })

/** Something that happened to one call, in milliseconds since the clients began. */
export interface Seen {
  readonly atMs: number
  readonly tookMs: number
  /** 0 where the connection broke. */
  readonly status: number
  /** What it costs by the price table; 0 where it was not answered. */
  readonly cost: number
  /** How long the model took. */
  readonly heldMs: number
  /** What a refused client is told to wait; 0 where it is told nothing. */
  readonly retryMs: number
}

export interface ClientsOptions {
  /** Where each node is now; null while it is down. */
  readonly urls: () => readonly (string | null)[]
  readonly clientsEach: number
  /** Each client takes one of them. */
  readonly keys: readonly string[]
  readonly onSeen: (seen: Seen) => void
}

/** Clients begin one after the other within that time. */
const rampMs = 1_000
/** A client that is told to come back in a fortnight comes back after that time: it is to find whatever is left. */
const mostPatientMs = 2_000
const body = JSON.stringify({ model: billedModel, max_tokens: mostTokens, messages: [{ role: 'user', content: 'Is it so?' }] })

/** Clients that ask, wait for the answer and ask again, over connections that stay open; whose node is gone goes to the next one. */
export class Clients {
  readonly #options: ClientsOptions
  readonly #began = performance.now()
  readonly #agent = new Agent({ connections: 1_024, pipelining: 1, headersTimeout: 60_000, bodyTimeout: 60_000 })
  readonly #stop = new AbortController()
  readonly #running: Promise<unknown>

  constructor(options: ClientsOptions) {
    this.#options = options
    const nodes = options.urls().length
    const length = nodes * options.clientsEach
    const clients = Array.from({ length }, async (_, i) => {
      await this.#pause((i / length) * rampMs)
      await this.#run(i % nodes, options.keys[i % options.keys.length])
    })
    this.#running = Promise.all(clients)
  }

  /** Milliseconds since they began. */
  get sinceMs(): number {
    return performance.now() - this.#began
  }

  /** Resolves when each has heard what became of its last call. */
  async stop(): Promise<void> {
    this.#stop.abort()
    await this.#running
    await this.#agent.destroy()
  }

  async #run(home: number, key = ''): Promise<void> {
    for (let node = home; !this.#stop.signal.aborted; ) {
      const urls = this.#options.urls()
      const url = urls[node % urls.length]
      const seen = url === null || url === undefined ? null : await this.#ask(url, key)
      if (seen === null || seen.status === 0) node++
      if (seen?.status !== 200) await this.#pause(Math.min(mostPatientMs, Math.max(100, seen?.retryMs ?? 0)))
    }
  }

  async #ask(url: string, key: string): Promise<Seen> {
    const began = performance.now()
    const seen = (status: number, over: Partial<Seen> = {}): Seen => {
      const now = performance.now()
      const one = { atMs: now - this.#began, tookMs: now - began, status, cost: 0, heldMs: 0, retryMs: 0, ...over }
      this.#options.onSeen(one)
      return one
    }
    try {
      const {
        statusCode,
        headers,
        body: answer,
      } = await request(`${url}/v1/chat/completions`, {
        ...{ method: 'POST', body, dispatcher: this.#agent },
        headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
      })
      const document: unknown = await answer.json()
      if (statusCode !== 200) return seen(statusCode, { retryMs: Number(headers['retry-after'] ?? 0) * 1_000 })
      const { usage, held_ms: heldMs } = Answer.parse(document)
      return seen(200, { cost: costOf(usage), heldMs })
    } catch (error) {
      if (error instanceof z.ZodError) throw error
      return seen(0)
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#stop.signal }).catch(() => {})
  }
}
