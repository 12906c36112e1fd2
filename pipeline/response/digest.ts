import { createHash } from 'node:crypto'

/** The first 128 bits of SHA-256, as 32 hex digits: ids that equal input makes equal. */
export function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
