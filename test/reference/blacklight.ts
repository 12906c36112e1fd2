import type { ReferenceDetector } from './port.ts'

export interface BlacklightOptions {
  /** Pixels a window. At 20 the blank margins of digits alone match: 16 % of ordinary queries, against 0.1 % at 50. */
  readonly window?: number
  /** Grey levels of 255 a quantum. */
  readonly quantum?: number
  /** Hashes kept of each query, and how many shared with one earlier query flag it. */
  readonly kept?: number
  readonly threshold?: number
  /** Queries remembered, of all principals. The paper keeps a day's. */
  readonly memory?: number
  readonly salt?: number
}

/**
 * Blacklight: hashes of all windows of the quantised, salted input; the largest are the query's fingerprint, and a query
 * that shares most of them with any earlier one is taken for part of an attack.
 * Li, Shan, Wenger, Zhang, Zheng and Zhao, "Blacklight: scalable defense for neural networks against query-based
 * black-box attacks", USENIX Security 2022. A 53-bit mixing hash stands for SHA-256: nobody attacks it here.
 */
export function blacklight(options: BlacklightOptions = {}): ReferenceDetector {
  const { threshold = 25, memory = 4_096 } = options
  const holders = new Map<number, Set<number>>()
  const fingerprints: (readonly number[])[] = []
  const shared = new Uint16Array(memory)
  let count = 0
  return {
    name: 'blacklight',
    observe(principal, image) {
      const hashes = fingerprint(image, options)
      shared.fill(0)
      let most = 0
      for (const hash of hashes) {
        for (const slot of holders.get(hash) ?? []) {
          const matches = (shared[slot] ?? 0) + 1
          shared[slot] = matches
          most = Math.max(most, matches)
        }
      }
      const slot = count++ % memory
      for (const hash of fingerprints[slot] ?? []) {
        const held = holders.get(hash)
        held?.delete(slot)
        if (held?.size === 0) holders.delete(hash)
      }
      fingerprints[slot] = hashes
      for (const hash of hashes) {
        const held = holders.get(hash)
        if (held) held.add(slot)
        else holders.set(hash, new Set([slot]))
      }
      return most > threshold ? [principal] : []
    },
  }
}

/** The `kept` largest of the distinct hashes of all windows. */
export function fingerprint(image: Float32Array, options: BlacklightOptions = {}): readonly number[] {
  const { window = 50, quantum = 50, kept = 50, salt = 1 } = options
  const levels = Uint32Array.from(image, (value, i) => Math.round((value * 255) / quantum) + Math.imul(i + salt, 0x9e3779b1))
  const hashes = new Set<number>()
  for (let from = 0; from + window <= levels.length; from++) {
    let a = 0x243f6a88 ^ salt
    let b = 0x85a308d3 ^ salt
    for (let i = from; i < from + window; i++) {
      const level = levels[i] ?? 0
      a = Math.imul(a ^ level, 0x85ebca6b)
      a ^= a >>> 15
      b = Math.imul(b + level, 0xc2b2ae35)
      b ^= b >>> 13
    }
    hashes.add((a >>> 0) * 2 ** 21 + (b >>> 11))
  }
  return [...hashes].sort((x, y) => y - x).slice(0, kept)
}
