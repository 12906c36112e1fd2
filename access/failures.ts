import type { Instant } from '../schemas/index.ts'
import { sourceOf } from './place.ts'

const minuteMs = 60_000
/** IPv6 addresses whose source is kept in mind: reading one costs 25 µs. */
const mostRead = 4_096

export interface FailureLimits {
  /** Refused credentials that one source may send in a minute; 0 for any number. */
  readonly perMinute: number
  /** Sources that are kept in mind; beyond them the one that has failed least lately is forgotten. */
  readonly maxSources: number
  /** Lines of log in a minute, over all sources. */
  readonly linesPerMinute: number
}

interface Source {
  /** Failures that still count at `at`; they wear off at `perMinute`. */
  level: number
  at: Instant
  /** All of them since the last line of log. */
  untold: number
  toldAt: Instant
}

/**
 * Refused credentials by where they came from: a leaking bucket for each address, or /64 of IPv6. Who is over may not try again for
 * a while, whatever they bring; nobody elsewhere notices, since principals are not counted. Every reason counts alike: were an
 * expired key to count for less than an unknown one, the count would tell them apart.
 */
export class Failures {
  readonly #limits: FailureLimits
  readonly #sources = new Map<string, Source>()
  readonly #read = new Map<string, string>()
  #lines = 0
  #linesSince: Instant = 0

  constructor(limits: FailureLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#sources.size
  }

  /** Milliseconds until a source may try again; 0 where it may now. */
  waitMs(address: string, now: Instant): number {
    // Nearly always nobody failed lately: then no address is read.
    if (this.#sources.size === 0 || this.#limits.perMinute === 0) return 0
    const source = this.#sources.get(this.#sourceOf(address))
    if (source === undefined) return 0
    const over = this.#levelOf(source, now) - (this.#limits.perMinute - 1)
    return over <= 0 ? 0 : Math.ceil((over * minuteMs) / this.#limits.perMinute)
  }

  /** Counts one more. @returns how many to tell of, where a line of log is due: one a minute for each source; else 0. */
  add(address: string, now: Instant): number {
    const name = this.#sourceOf(address)
    const source = this.#sources.get(name) ?? { level: 0, at: now, untold: 0, toldAt: Number.NEGATIVE_INFINITY }
    source.level = this.#levelOf(source, now) + 1
    source.at = now
    source.untold++
    this.#sources.delete(name)
    this.#sources.set(name, source)
    this.#forget(now)
    if (now - source.toldAt < minuteMs || !this.#mayTell(now)) return 0
    const told = source.untold
    source.untold = 0
    source.toldAt = now
    return told
  }

  #sourceOf(address: string): string {
    if (!address.includes(':') || address.length > 64) return sourceOf(address)
    const before = this.#read.get(address)
    if (before !== undefined) return before
    if (this.#read.size >= mostRead) this.#read.clear()
    const source = sourceOf(address)
    this.#read.set(address, source)
    return source
  }

  #levelOf({ level, at }: Source, now: Instant): number {
    return Math.max(0, level - (Math.max(0, now - at) * this.#limits.perMinute) / minuteMs)
  }

  /** Sources are in the order of their last failure: those whose failures wore off are at the front. */
  #forget(now: Instant): void {
    for (const [name, source] of this.#sources) {
      if (this.#sources.size <= this.#limits.maxSources && now - source.at < minuteMs) return
      this.#sources.delete(name)
    }
  }

  #mayTell(now: Instant): boolean {
    if (now - this.#linesSince >= minuteMs) {
      this.#linesSince = now
      this.#lines = 0
    }
    return ++this.#lines <= this.#limits.linesPerMinute
  }
}
