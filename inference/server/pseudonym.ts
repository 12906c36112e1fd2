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

/**
 * One way to write an address, as a peer's socket says it: an IPv4 address is the same over an IPv6 socket (`::ffff:192.0.2.1`), and
 * a zone (`fe80::1%eth0`) says where we heard it, not who it is. Node writes the rest canonically (RFC 5952).
 */
export function plainAddress(address: string): string {
  const mapped = /^::ffff:(\d{1,3}(?:\.\d{1,3}){3})$/i.exec(address)?.[1]
  if (mapped !== undefined) return mapped
  const zone = address.indexOf('%')
  return (zone === -1 ? address : address.slice(0, zone)).toLowerCase()
}
