import { createHmac } from 'node:crypto'

const kept = 4_096

/**
 * Keyed hashes of addresses and User-Agents: HMAC-SHA256 cut to 128 bits, hex. Equal inputs stay equal, which
 * is what forensics needs; without the key nobody can go through all addresses to find the one.
 */
export function openPseudonyms(key: Uint8Array): (kind: 'address' | 'agent' | 'principal', text: string) => string {
  const known = new Map<string, string>()
  return (kind, text) => {
    const named = `${kind}\0${text}`
    const before = known.get(named)
    if (before !== undefined) return before
    const pseudonym = createHmac('sha256', key).update(named).digest('hex').slice(0, 32)
    if (known.size >= kept) known.clear()
    known.set(named, pseudonym)
    return pseudonym
  }
}
