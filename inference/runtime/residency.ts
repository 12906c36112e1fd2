import { InferenceError } from '../errors.ts'
import type { ModelInfo } from '../port.ts'

/** A model version in one pool: in memory, or not. */
export class Slot {
  readonly key: string
  readonly pool: string
  readonly info: ModelInfo
  state: 'absent' | 'loading' | 'loaded' | 'leaving' = 'absent'
  /** What it takes, or will as far as is known. */
  bytes: number
  lastUsed = 0
  /** Tries that failed since one did not, the last one's error, and when the next may be. */
  failures = 0
  error: InferenceError | undefined
  retryAt = 0
  /** Just loaded for requests that wait: it does not go before one batch of them ran, or two models would only take turns at loading. */
  #due = false
  #running = 0
  #idle: (() => void) | undefined

  constructor(pool: string, info: ModelInfo, bytes: number) {
    this.pool = pool
    this.info = info
    this.key = `${info.name}/${info.version}`
    this.bytes = bytes
  }

  /** Whether a batch of it may start. */
  get open(): boolean {
    return this.state === 'loaded' || (this.state === 'leaving' && this.#due)
  }

  awaitFirst(waiting: boolean): void {
    this.#due = waiting
    this.#settle()
  }

  /** A batch of it starts. */
  enter(now: number): void {
    this.#running++
    this.#due = false
    this.lastUsed = now
  }

  leave(now: number): void {
    this.#running = Math.max(0, this.#running - 1)
    this.lastUsed = now
    this.#settle()
  }

  /** Its thread ended. */
  lose(): void {
    this.state = 'absent'
    this.#due = false
    this.#running = 0
    this.#settle()
  }

  /** Resolves when nothing of it runs, or has to. */
  idle(): Promise<void> {
    return new Promise((resolve) => {
      this.#idle = resolve
      this.#settle()
    })
  }

  #settle(): void {
    if (this.#running === 0 && !this.#due) this.#idle?.()
  }
}

/** What loads and unloads: the pools' threads. */
export interface Memory {
  /** @returns bytes that it takes. Throws the codes of `openRuntime`, `INFERENCE_FAILED`. */
  load(slot: Slot): Promise<number>
  unload(slot: Slot): Promise<void>
  /** Told once a model can be run, or when trying failed and its requests have to be. */
  loaded(slot: Slot): void
  failed(slot: Slot, error: InferenceError): void
  evicted(slot: Slot): void
}

export interface Backoff {
  readonly firstMs: number
  readonly mostMs: number
}

/** @param failures in a row, at least 1 */
export function backoffMs({ firstMs, mostMs }: Backoff, failures: number): number {
  return Math.min(mostMs, firstMs * 2 ** Math.min(30, failures - 1))
}

/**
 * Which models are in memory. One is loaded at a time; where there is no room, the one whose last use is longest ago goes first,
 * once nothing of it runs. The clock is monotonic, milliseconds.
 */
export class Residency {
  readonly #maxBytes: number
  readonly #memory: Memory
  readonly #clock: () => number
  readonly #backoff: Backoff
  readonly #slots: readonly Slot[]
  readonly #wanted = new Set<Slot>()
  #working: Promise<void> | undefined

  constructor(slots: readonly Slot[], options: { maxBytes: number; memory: Memory; clock: () => number; backoff: Backoff }) {
    this.#slots = slots
    this.#maxBytes = options.maxBytes
    this.#memory = options.memory
    this.#clock = options.clock
    this.#backoff = options.backoff
  }

  get bytes(): number {
    return this.#slots.reduce((sum, slot) => sum + (slot.state === 'absent' ? 0 : slot.bytes), 0)
  }

  /** Whether it fits without another having to go. */
  fits(slot: Slot): boolean {
    return this.bytes + slot.bytes <= this.#maxBytes
  }

  /** Has it loaded, unless it is or its last try failed just now: then throws that failure. */
  want(slot: Slot): void {
    if (slot.error !== undefined && this.#clock() < slot.retryAt) throw slot.error
    if (slot.state !== 'absent' && slot.state !== 'leaving') return
    this.#wanted.add(slot)
    this.#working ??= this.#work().finally(() => {
      this.#working = undefined
    })
  }

  /** Loads it now, and throws where that fails. */
  async insist(slot: Slot): Promise<void> {
    this.want(slot)
    await this.#working
    if (slot.state !== 'loaded') throw slot.error ?? new InferenceError('CLOSED', 'The model runtime is closed')
  }

  /** The thread of a pool ended: nothing of it is in memory. */
  lost(pool: string): void {
    for (const slot of this.#slots) if (slot.pool === pool) slot.lose()
  }

  async #work(): Promise<void> {
    for (let [slot] = this.#wanted; slot !== undefined; [slot] = this.#wanted) {
      this.#wanted.delete(slot)
      if (slot.state === 'absent') await this.#load(slot)
    }
  }

  async #load(slot: Slot): Promise<void> {
    try {
      await this.#makeRoom(slot)
      slot.state = 'loading'
      slot.bytes = await this.#memory.load(slot)
      slot.state = 'loaded'
      slot.lastUsed = this.#clock()
      if (slot.bytes > this.#maxBytes) {
        await this.#unload(slot)
        throw tooLarge(slot, this.#maxBytes)
      }
      // It may take more than its files said.
      await this.#makeRoom(slot)
      slot.failures = 0
      slot.error = undefined
      this.#memory.loaded(slot)
    } catch (error) {
      this.#failed(slot, error)
    }
  }

  #failed(slot: Slot, cause: unknown): void {
    slot.state = 'absent'
    slot.failures++
    slot.error = cause instanceof InferenceError ? cause : new InferenceError('INFERENCE_FAILED', `Loading ${slot.key} failed`, { cause })
    slot.retryAt = this.#clock() + backoffMs(this.#backoff, slot.failures)
    this.#memory.failed(slot, slot.error)
  }

  async #makeRoom(slot: Slot): Promise<void> {
    for (;;) {
      const others = this.#slots.filter((other) => other !== slot && other.state === 'loaded')
      const [victim] = others.sort((a, b) => a.lastUsed - b.lastUsed)
      const held = others.reduce((sum, other) => sum + other.bytes, 0)
      if (victim === undefined || held + slot.bytes <= this.#maxBytes) return
      victim.state = 'leaving'
      await victim.idle()
      if (victim.state === 'leaving') await this.#unload(victim)
      this.#memory.evicted(victim)
    }
  }

  async #unload(slot: Slot): Promise<void> {
    // A thread that ended meanwhile took the model with it.
    await this.#memory.unload(slot).catch(() => {})
    slot.state = 'absent'
  }
}

/** Throws `MODEL_CORRUPT` where one alone is more than all may be. */
export function refuseTooLarge(slots: readonly Slot[], maxBytes: number): void {
  for (const slot of slots) if (slot.bytes > maxBytes) throw tooLarge(slot, maxBytes)
}

function tooLarge({ key, bytes }: Slot, maxBytes: number): InferenceError {
  const message = `${key} takes ${bytes} bytes, more than the ${maxBytes} that models may: raise inference.maxModelBytes`
  return new InferenceError('MODEL_CORRUPT', message)
}
