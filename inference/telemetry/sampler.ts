import type { Instant } from '../../schemas/index.ts'
import { admits, type Bucket, fullBucket, take } from '../server/throttle.ts'

/** Traces that clients can have sent each second, beyond their share. */
const asked = { requests: 50, windowMs: 1_000 }

export interface SamplerOptions {
  /** Share of traces that are sent where the client's trace does not say. */
  readonly ratio: number
  readonly clock: () => Instant
  /** Evenly from 0 up to 1. */
  readonly draw: () => number
  /** A client asked, and was not heard. */
  readonly refused: () => void
}

/**
 * Which requests leave spans: as the client's trace says, if there is one. But anybody can set a flag, so a flag gives no more than
 * the share that everybody has and some traces a second for all clients together: one who sets it always fills no queue and pushes
 * nobody out. The draw is ours and not made from the trace's id, which a client chooses as well.
 */
export class Sampler {
  readonly #options: SamplerOptions
  readonly #asked: Bucket

  constructor(options: SamplerOptions) {
    this.#options = options
    this.#asked = fullBucket(asked, options.clock())
  }

  /** @param flag of the client's trace; undefined where there is none */
  admits(flag: boolean | undefined): boolean {
    const { ratio, clock, draw, refused } = this.#options
    if (flag === false) return false
    if (ratio > 0 && draw() < ratio) return true
    if (flag === undefined) return false
    const now = clock()
    const { ok } = admits(this.#asked, 1, now)
    if (ok) take(this.#asked, 1, now)
    else refused()
    return ok
  }
}
