import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../bus/until.ts'
import { type Deployment, startDeployment } from '../faults/deployment.ts'
import type { RoleProcess } from '../faults/role-process.ts'
import { Clients, type Seen } from './limits-clients.ts'
import { type LimitRun, outcomeOf } from './limits-outcome.ts'
import { BillingUpstream, billedModel, mostTokens, prices } from './limits-upstream.ts'

export interface LimitNodesOptions {
  readonly nodes: number
  /** What each organization may spend. */
  readonly ceiling: number
  /** How long the model takes, milliseconds. */
  readonly holdMs: readonly [from: number, to: number]
}

export interface RunOptions {
  /** Fresh: its organization spent nothing yet. */
  readonly name: string
  readonly clientsEach: number
  /** What is done to the deployment once half of the ceiling is spent. */
  readonly midway?: (nodes: LimitNodes) => Promise<void>
  /** For this time under no limit, in place of until the ceiling is used up. */
  readonly freeMs?: number
}

/** Nobody is served for so long: the ceiling is used up, as far as it can be. Longer than any share stays with an idle node. */
const quietMs = 10_000
/** A run that comes to no end is one all the same. */
const longestMs = 240_000
const keysEach = 8

/** Processes of `cordon node` and the one that shares limits out, over a real Kafka, before a model server that bills. */
export class LimitNodes {
  readonly #deployment: Deployment
  readonly #upstream: BillingUpstream
  readonly #options: LimitNodesOptions

  private constructor(deployment: Deployment, upstream: BillingUpstream, options: LimitNodesOptions) {
    this.#deployment = deployment
    this.#upstream = upstream
    this.#options = options
  }

  static async start(options: LimitNodesOptions): Promise<LimitNodes> {
    const upstream = await BillingUpstream.open(options.holdMs)
    const names = [...Array.from({ length: options.nodes }, (_, i) => `node-${i + 1}`), 'respond-1', 'console-1']
    const settings = settingsOf(upstream.url, options)
    try {
      const environment = Object.fromEntries(names.map((name) => [name, settings]))
      return new LimitNodes(
        await startDeployment({ names, brokers: 1, smallDisk: false, environment, say: () => {} }),
        upstream,
        options,
      )
    } catch (error) {
      await upstream.close()
      throw error
    }
  }

  role(name: string): RoleProcess {
    const role = this.#deployment.roles.get(name)
    if (role === undefined) throw new RangeError(`there is no process ${name}`)
    return role
  }

  async run({ name, clientsEach, midway, freeMs }: RunOptions): Promise<LimitRun> {
    const { ceiling } = this.#options
    const keys = await this.#keysOf(freeMs === undefined ? `limited-${name}` : `free-${name}`)
    const before = this.#upstream.spent
    const seen: Seen[] = []
    let lastAt = 0
    const clients = new Clients({
      ...{ keys, clientsEach, urls: () => this.#nodes.map(({ url }) => url) },
      onSeen: (one) => {
        seen.push(one)
        if (one.status === 200) lastAt = one.atMs
      },
    })
    let acting: Promise<void> | undefined
    let actedMs: number | null = null
    const over = () => clients.sinceMs > (freeMs ?? longestMs) || (freeMs === undefined && clients.sinceMs - lastAt > quietMs)
    try {
      while (!over()) {
        if (midway !== undefined && acting === undefined && this.#upstream.spent - before > ceiling / 2) {
          actedMs = clients.sinceMs
          acting = midway(this)
        }
        await sleep(20)
      }
    } finally {
      await clients.stop()
    }
    await acting
    return outcomeOf(seen, { ceiling, billed: this.#upstream.spent - before, actedMs })
  }

  async stop(): Promise<void> {
    await this.#deployment.stop()
    await this.#upstream.close()
  }

  get #nodes(): RoleProcess[] {
    return [...this.#deployment.roles.values()].filter(({ role }) => role === 'node')
  }

  /** Known at every node once it resolves; nothing is spent on that. */
  async #keysOf(organization: string): Promise<string[]> {
    const { api } = this.#deployment
    const made = Array.from({ length: keysEach }, (_, i) =>
      api.post<{ key: string }>('/api/keys', { principal: `${organization}-${i}`, organization, expiresAt: null }),
    )
    const keys = (await Promise.all(made)).map(({ key }) => key)
    for (const { url, name } of this.#nodes) {
      for (const key of keys) {
        const asked = () => fetch(`${url}/v1/models`, { headers: { authorization: `Bearer ${key}` } })
        await until(`${name} knows the keys`, async () => (await asked()).ok, 30_000)
      }
    }
    return keys
  }
}

function settingsOf(url: string, { nodes, ceiling }: LimitNodesOptions): Record<string, string> {
  const rule = { name: 'budget', over: 'organization', match: { organization: 'limited-*' }, measure: 'cost', amount: ceiling, calendar: 'month' }
  const upstream = { protocol: 'openai', endpoints: [url], maxConnections: 2_048, operations: ['chat'] }
  const model = { pricePerTokenIn: prices.in, pricePerTokenOut: prices.out, text: { maxTokens: mostTokens } }
  return {
    CORDON_LIMITS_RULES: JSON.stringify([rule]),
    CORDON_LIMITS_NODES: String(nodes),
    CORDON_POOLS: JSON.stringify([{ name: 'billing', models: [billedModel], concurrency: 2_048, upstream }]),
    CORDON_MODELS: JSON.stringify({ [billedModel]: model }),
  }
}
