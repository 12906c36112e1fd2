import { performance } from 'node:perf_hooks'
import { DeadlineWatch, type Timed } from '../deadline-watch.ts'
import type { Cancellation } from '../port.ts'
import { Line, type Waiter } from './line.ts'
import { busy } from './pools.ts'
import type { Refusal } from './refusal.ts'

/** A place among the requests that run. */
export interface Ticket {
  /** Gives the place back; to be called once, however the request ended. */
  leave(): void
}

export interface GateOptions {
  readonly pools: readonly { readonly name: string; readonly concurrency: number }[]
  /** Longest wait, milliseconds; who would wait for longer is refused at once. Default 5 s. */
  readonly maxQueueMs?: number
  /** Requests that wait, over all pools. Default 1,024. */
  readonly maxWaiting?: number
  /** Looks whether someone has waited for too long. */
  readonly watch?: Pick<DeadlineWatch, 'add' | 'delete'>
  /** Monotonic, milliseconds. */
  readonly now?: () => number
}

const defaultQueueMs = 5_000
const defaultWaiting = 1_024
/** Longest pause that is asked for. */
const longestRetrySeconds = 60

interface Waiting extends Waiter {
  readonly gate: PoolGate
  readonly admitted: (ticket: Ticket) => void
  readonly refused: (reason: Refusal) => void
  readonly cancellation: Cancellation
  /** Nobody waits for it any more. */
  readonly gone: () => void
}

/** One pool's line, and the ticket that all who run there share: it says nothing but whose place it is. */
interface PoolGate extends Ticket {
  readonly line: Line<Waiting>
}

/** Lets so many requests of each pool run at once; the others wait, and their principals take turns. */
export class Gate implements Timed {
  place = -1
  readonly #gates: Map<string, PoolGate>
  readonly #maxWaiting: number
  readonly #watch: Pick<DeadlineWatch, 'add' | 'delete'>
  readonly #now: () => number
  #waiting = 0

  constructor(options: GateOptions) {
    const {
      pools,
      maxQueueMs = defaultQueueMs,
      maxWaiting = defaultWaiting,
      watch = new DeadlineWatch(),
      now = () => performance.now(),
    } = options
    this.#maxWaiting = maxWaiting
    this.#watch = watch
    this.#now = now
    this.#gates = new Map(pools.map(({ name, concurrency }) => [name, this.#open(concurrency, maxQueueMs)]))
  }

  /** Requests that wait for a place in a pool. */
  waiting(pool: string): number {
    return this.#gates.get(pool)?.line.waiting ?? 0
  }

  /** Requests that have a place in a pool. */
  running(pool: string): number {
    return this.#gates.get(pool)?.line.running ?? 0
  }

  /**
   * A ticket where there is room, a promise of one where not.
   *
   * @throws Refusal `OVERLOADED`, also from the promise: with the seconds after which it is expected to be let in
   */
  enter(pool: string, principal: string, cancellation: Cancellation, items = 1): Ticket | Promise<Ticket> {
    const gate = this.#gates.get(pool)
    if (gate === undefined) throw busy('OVERLOADED', 1)
    const { line } = gate
    if (line.free) {
      line.take(this.#now)
      return gate
    }
    if (this.#waiting >= this.#maxWaiting) this.#makeRoom(line, principal)
    return this.#wait(gate, principal, cancellation, items)
  }

  /** Called by the watch: those whose time is over leave. */
  look(now: number): void {
    for (const { line } of this.#gates.values()) {
      for (const waiter of line.expired(now)) this.#refuse(waiter, now)
    }
  }

  #open(concurrency: number, maxWaitMs: number): PoolGate {
    const line = new Line<Waiting>({ concurrency, maxWaitMs })
    const gate: PoolGate = {
      line,
      leave: () => {
        const next = line.leave(this.#now())
        if (next === undefined) return
        this.#left(next)
        next.admitted(gate)
      },
    }
    return gate
  }

  #wait(gate: PoolGate, principal: string, cancellation: Cancellation, items: number): Promise<Ticket> {
    const { promise, resolve: admitted, reject: refused } = Promise.withResolvers<Ticket>()
    const since = this.#now()
    const entry = gate.line.enter(principal, items, since, (start) => {
      const gone = () => this.#refuse(waiter, this.#now())
      const waiter = { principal, items, since, start, gate, admitted, refused, cancellation, gone }
      return waiter
    })
    if (entry === 'runs') return Promise.resolve(gate)
    if ('refusedFor' in entry) throw busy('OVERLOADED', secondsOf(entry.refusedFor))
    this.#waiting++
    this.#watch.add(this)
    cancellation.onEnd(entry.waits.gone)
    return promise
  }

  /** A newcomer displaces the newest request of whoever has the most waiting, unless it would be as greedy itself. */
  #makeRoom(line: Line<Waiting>, principal: string): void {
    let greediest: { readonly waiter: Waiting; readonly waiting: number } | undefined
    for (const one of this.#gates.values()) {
      const there = one.line.greediest()
      if (there !== undefined && there.waiting > (greediest?.waiting ?? 0)) greediest = there
    }
    const now = this.#now()
    if (greediest === undefined || line.waitingOf(principal) + 1 >= greediest.waiting)
      throw busy('OVERLOADED', secondsOf(line.wait(principal, now)))
    this.#refuse(greediest.waiter, now)
  }

  #refuse(waiter: Waiting, now: number): void {
    const { line } = waiter.gate
    if (!line.remove(waiter)) return
    this.#left(waiter)
    waiter.refused(busy('OVERLOADED', secondsOf(line.wait(waiter.principal, now))))
  }

  #left(waiter: Waiting): void {
    waiter.cancellation.offEnd(waiter.gone)
    this.#waiting--
    if (this.#waiting === 0) this.#watch.delete(this)
  }
}

function secondsOf(ms: number): number {
  return Math.min(longestRetrySeconds, Math.max(1, Math.ceil(ms / 1_000)))
}
