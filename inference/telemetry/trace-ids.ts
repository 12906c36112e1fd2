import { randomFillSync } from 'node:crypto'

/** A call for each id would cost more than the rest of a trace that is not sampled. */
const pool = Buffer.alloc(8_192)
let used = pool.length

export function newTraceId(): string {
  return hexOf(16)
}

export function newSpanId(): string {
  return hexOf(8)
}

/** Evenly from 0 up to 1. */
export function draw(): number {
  return pool.readUInt32LE(take(4)) / 2 ** 32
}

function hexOf(bytes: number): string {
  const at = take(bytes)
  return pool.toString('hex', at, at + bytes)
}

function take(bytes: number): number {
  if (used + bytes > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += bytes
  return at
}
