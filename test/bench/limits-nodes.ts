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
  readonly midway?: () => Promise<void>
  /**
   * When nobody is served for so long, and as long as the model takes, and what was done midway is done, the ceiling is used up as far as it can be. Default 10 s:
   * longer than a share stays with an idle node, and than one process of `respond` takes to follow another.
   */
  readonly quietMs?: number
  /** For this time under no limit, in place of until the ceiling is used up. */
  readonly freeMs?: number
}

/** A run that comes to no end is one all the same. */
const longestMs = 240_000
/** How long the clients call under no limit. */
const unlimitedMs = 10_000
const keysEach = 8

export interface LimitNodesBench extends LimitNodesOptions {
  readonly clientsEach: number
  readonly even: LimitRun
  /** A node is killed at half of the ceiling; its clients go to the others. What its calls had set aside stays unused. */
  readonly nodeKilled: LimitRun
  /** The one process that shares limits out is killed and begins anew. */
  readonly respondKilled: LimitRun
  /** The same clients under no limit: what they wait beyond the model's time, milliseconds. */
  readonly unlimitedOverheadMs: LimitRun['overheadMs']
}

export async function benchLimitNodes(short: boolean): Promise<LimitNodesBench> {
  const options: LimitNodesOptions = { nodes: 4, ceiling: short ? 1_000 : 4_000, holdMs: [500, 1_500] }
  const clientsEach = short ? 50 : 200
  const nodes = await LimitNodes.start(options)
  try {
    // New processes are slow at first.
    await nodes.run({ name: 'warm-up', clientsEach, freeMs: unlimitedMs })
    const even = await nodes.run({ name: 'even', clientsEach })
    const { overheadMs } = await nodes.run({ name: 'unlimited', clientsEach, freeMs: unlimitedMs })
    const nodeKilled = await nodes.run({ name: 'node-killed', clientsEach, midway: () => nodes.role('node-2').kill() })
    await nodes.role('node-2').start()
    const respondKilled = await nodes.run({ name: 'respond-killed', clientsEach, midway: () => nodes.restart('respond-1') })
    return { ...options, clientsEach, even, nodeKilled, respondKilled, unlimitedOverheadMs: overheadMs }
  } finally {
    await nodes.stop()
  }
}

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
      return new LimitNodes(await startDeployment({ names, brokers: 1, smallDisk: false, environment, say: () => {} }), upstream, options)
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

  /** Kills a process and begins it anew. */
  async restart(name: string): Promise<void> {
    await this.role(name).kill()
    await this.role(name).start()
  }

  async run({ name, clientsEach, midway, quietMs = 10_000, freeMs }: RunOptions): Promise<LimitRun> {
    const { ceiling, holdMs } = this.#options
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
    let actedMs: number | null = null
    const over = () => clients.sinceMs > (freeMs ?? longestMs) || (freeMs === undefined && clients.sinceMs - lastAt > quietMs + holdMs[1])
    try {
      while (!over()) {
        if (midway !== undefined && actedMs === null && this.#upstream.spent - before > ceiling / 2) {
          actedMs = clients.sinceMs
          await midway()
          lastAt = clients.sinceMs
        }
        await sleep(20)
      }
    } finally {
      await clients.stop()
    }
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
  const rule = {
    name: 'budget',
    over: 'organization',
    match: { organization: 'limited-*' },
    measure: 'cost',
    amount: ceiling,
    calendar: 'month',
  }
  // On a machine that all of this keeps busy the model server may be slow, and is never away.
  const patience = { connectMs: 10_000, health: { timeoutMs: 30_000 }, outlier: { maxEjectionShare: 0 } }
  const upstream = { protocol: 'openai', endpoints: [url], maxConnections: 2_048, operations: ['chat'], ...patience }
  const model = { pricePerTokenIn: prices.in, pricePerTokenOut: prices.out, text: { maxTokens: mostTokens } }
  return {
    CORDON_LIMITS_RULES: JSON.stringify([rule]),
    CORDON_LIMITS_NODES: String(nodes),
    CORDON_INFERENCE_MAX_QUEUE_MS: String(60_000),
    CORDON_POOLS: JSON.stringify([{ name: 'billing', models: [billedModel], concurrency: 2_048, upstream }]),
    CORDON_MODELS: JSON.stringify({ [billedModel]: model }),
  }
}
