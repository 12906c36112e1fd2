import type { Logger } from 'pino'
import type { Heartbeat, Instant, RoleName } from '../schemas/index.ts'
import { encode, newEvent } from './codec.ts'
import type { EventBus } from './port.ts'

/** What a role has to say of itself; the rest of a {@link Heartbeat} is known here. */
export type Pulse = Pick<Heartbeat, 'ok' | 'summary'> &
  Partial<Omit<Heartbeat, 'role' | 'instance' | 'version' | 'startedAt' | 'at' | 'everyMs' | 'state'>>

export interface HeartOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly log: Logger
  readonly role: RoleName
  readonly instance: string
  readonly version: string
  readonly everyMs: number
  readonly pulse: () => Pulse
}

export interface Heart {
  /** Says it now, such as after something important changed. */
  beat(): Promise<void>
  /** Says that this instance stops in order, as far as the bus takes it. */
  close(): Promise<void>
}

/** How long the last word may take; a bus that is away must not hold up the end of a process. */
const lastWordMs = 2_000

/** Says on the log, every so often, what one instance of a role is doing. Resolves when the first word is there. */
export async function startHeart(options: HeartOptions): Promise<Heart> {
  const heart = new BeatingHeart(options)
  await heart.beat()
  return heart
}

class BeatingHeart implements Heart {
  readonly #options: HeartOptions
  readonly #startedAt: Instant
  readonly #timer: NodeJS.Timeout
  #beating: Promise<void> | null = null
  #failing = false

  constructor(options: HeartOptions) {
    this.#options = options
    this.#startedAt = options.clock()
    // One at a time: while the bus is away they would pile up, and each is outdated by the next.
    this.#timer = setInterval(() => void this.beat(), options.everyMs).unref()
  }

  beat(): Promise<void> {
    this.#beating ??= this.#say('running').finally(() => {
      this.#beating = null
    })
    return this.#beating
  }

  async close(): Promise<void> {
    clearInterval(this.#timer)
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, lastWordMs)
    })
    await Promise.race([(this.#beating ?? Promise.resolve()).then(() => this.#say('stopped')), late])
    clearTimeout(timer)
  }

  async #say(state: Heartbeat['state']): Promise<void> {
    const { bus, clock, log, role, instance, version, everyMs, pulse } = this.#options
    const at = clock()
    const nothing = {
      assignments: [],
      snapshotAgeMs: null,
      spoolBytes: null,
      deadLetters: 0,
      blockedSince: null,
      controlStaleMs: null,
      models: [],
      fingerprintKey: null,
      detail: {},
    }
    try {
      const heartbeat: Heartbeat = { ...nothing, ...pulse(), role, instance, version, startedAt: this.#startedAt, at, everyMs, state }
      await bus.publish([encode('heartbeats', newEvent('heartbeat', heartbeat, instance, at))])
      this.#failing = false
    } catch (err) {
      if (!this.#failing) log.warn({ err, role }, 'a heartbeat could not be said; trying again, the work goes on')
      this.#failing = true
    }
  }
}
