import { pooled, squaredDistance } from './pooled.ts'
import type { ReferenceDetector } from './port.ts'
import { Remembered } from './remembered.ts'

export interface SeatOptions {
  /** Ordinary images: one in `rarity` of their pairs counts as similar. */
  readonly reference: readonly Float32Array[]
  readonly rarity?: number
  /** Similar pairs that end an account. */
  readonly pairs?: number
  /** Queries of an account that new ones are compared with. */
  readonly memory?: number
  readonly principals?: number
}

interface Account {
  readonly recent: Float32Array[]
  count: number
  similar: number
}

/**
 * Counts an account's pairs of similar queries and flags it at a fixed number. After Zhang, Chen and Wagner, "SEAT:
 * similarity encoder by adversarial training for detecting model extraction attack queries", AISec 2021; block means
 * stand for the trained encoder.
 */
export function seatLike({ reference, rarity = 5_000, pairs = 50, memory = 2_000, principals = 1_024 }: SeatOptions): ReferenceDetector {
  const limit = rareDistance(
    reference.slice(0, 400).map((image) => pooled(image)),
    rarity,
  )
  const accounts = new Remembered<Account>(principals, () => ({ recent: [], count: 0, similar: 0 }))
  return {
    name: 'seat-like',
    observe(principal, image) {
      const account = accounts.of(principal)
      const encoded = pooled(image)
      for (const other of account.recent) if (squaredDistance(encoded, other) < limit) account.similar++
      account.recent[account.count++ % memory] = encoded
      return account.similar >= pairs ? [principal] : []
    },
  }
}

/** The squared distance that one pair in `rarity` stays below. */
function rareDistance(sample: readonly Float32Array[], rarity: number): number {
  const all: number[] = []
  for (const [i, x] of sample.entries()) for (const y of sample.slice(i + 1)) all.push(squaredDistance(x, y))
  return all.sort((a, b) => a - b)[Math.floor(all.length / rarity)] ?? 0
}
