import type { Instant } from '../../../schemas/index.ts'

export interface WatermarkLimits {
  /** An event older than the watermark by more than this is late. */
  readonly latenessMs: number
  /** How far one event may move event time on its own word. */
  readonly aheadMs: number
}

/** JSON-serialisable; lives in the partition's snapshot. */
export interface WatermarkState {
  /** Highest event time accepted; null before the first event. */
  at: Instant | null
  /** A second event agreed with it to within `aheadMs`, or a tick or the log's own clock vouched for it. */
  confirmed: boolean
  /** What the events since the last agreeing one claimed, all of them too far ahead; fewer than `witnesses`. */
  claims: Instant[]
}

export interface Admission {
  /** The time that the detectors are told. */
  readonly time: Instant
  readonly verdict: 'on-time' | 'late' | 'clamped' | 'restarted'
}

/** So many events in a row must claim a far future before event time goes there. */
const witnesses = 3

/**
 * Event time of one partition, from nothing but the events on it. It only moves forward, and no single event
 * moves it by more than `aheadMs`: a node whose clock says 2099 must not expire every key and fire every timer.
 *
 * - Too far ahead: the event is given the watermark as its time (`clamped`). Three such events in a row are no
 *   longer a broken clock but a quiet night, and event time moves to the earliest of what they claim.
 * - A first event that the second contradicts by being much older is disowned: event time starts again there
 *   (`restarted`), and the caller drops what it built on the first.
 * - Neither is needed of an event whose time the log's own clock bounds (`vouched`): it goes as far as it says.
 * - Late events keep their own time: what they say happened is still true, and only a detector can tell whether it matters.
 */
export class Watermark {
  readonly #limits: WatermarkLimits
  readonly #state: WatermarkState

  constructor(limits: WatermarkLimits, state: WatermarkState = { at: null, confirmed: false, claims: [] }) {
    this.#limits = limits
    this.#state = state
  }

  get at(): Instant | null {
    return this.#state.at
  }

  /** @param vouched the log's clock bounds it already, see `judgeTime`: it is believed however far ahead it is */
  admit(time: Instant, vouched = false): Admission {
    const state = this.#state
    const at = state.at
    if (at === null) {
      state.at = time
      state.confirmed = vouched
      return { time, verdict: 'on-time' }
    }
    if (!vouched && time > at + this.#limits.aheadMs) return this.#claim(time, at)
    state.claims.length = 0
    if (!state.confirmed && time < at - this.#limits.aheadMs) {
      state.at = time
      return { time, verdict: 'restarted' }
    }
    state.confirmed = true
    if (time > at) state.at = time
    return { time, verdict: time < at - this.#limits.latenessMs ? 'late' : 'on-time' }
  }

  /** A tick is the host's own word, on the log, that time has passed: it may cross any gap. */
  tick(until: Instant): void {
    const state = this.#state
    state.confirmed = true
    state.claims.length = 0
    if (state.at === null || until > state.at) state.at = until
  }

  snapshot(): WatermarkState {
    return { ...this.#state, claims: [...this.#state.claims] }
  }

  #claim(time: Instant, at: Instant): Admission {
    const { claims } = this.#state
    claims.push(time)
    if (claims.length < witnesses) return { time: at, verdict: 'clamped' }
    const earliest = Math.min(...claims)
    this.#state.at = earliest
    this.#state.confirmed = true
    const ceiling = earliest + this.#limits.aheadMs
    this.#state.claims = claims.filter((claim) => claim > ceiling)
    if (time > ceiling) return { time: earliest, verdict: 'clamped' }
    if (time > earliest) this.#state.at = time
    return { time, verdict: 'on-time' }
  }
}
