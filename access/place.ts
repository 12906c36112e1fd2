import ipaddr from 'ipaddr.js'
import type { Key } from '../schemas/index.ts'
import type { Credentials } from './identity.ts'

/** Where a request comes from. */
export type Place = Pick<Credentials, 'address' | 'origin'>

type Network = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, bits: number]

/** Networks of the keys in use, read once; a key that is changed is another object. */
const networksOf = new WeakMap<Key, readonly Network[]>()

/**
 * Whether a key may be used from there. Where nobody says where a request comes from, a key that is bound to a place is refused.
 * A browser says its page's origin truly; anything else says what it likes: origins keep a key that pages hold out of other pages.
 */
export function mayUseFrom(key: Key, place: Place | undefined): boolean {
  if (key.addresses.length === 0 && key.origins.length === 0) return true
  if (place === undefined) return false
  if (key.origins.length > 0 && (place.origin === undefined || !key.origins.includes(place.origin.toLowerCase()))) return false
  return key.addresses.length === 0 || isWithin(place.address, networks(key))
}

/**
 * Whose failures count together: an IPv4 address, or the /64 of an IPv6 address, all of which one subscriber has. What is no address
 * is a source as it stands.
 */
export function sourceOf(address: string): string {
  if (!address.includes(':')) return address.slice(0, 64)
  // As a socket of both families has every IPv4 address; the others need reading.
  if (address.startsWith('::ffff:') && address.includes('.')) return address.slice(7, 71)
  const parsed = parse(address)
  if (parsed === undefined) return address.slice(0, 64)
  if (parsed instanceof ipaddr.IPv4) return parsed.toString()
  return `${parsed.parts.slice(0, 4).join(':')}/64`
}

function networks(key: Key): readonly Network[] {
  let known = networksOf.get(key)
  if (known === undefined) {
    known = key.addresses.map((text): Network => {
      const [address, bits] = text.includes('/') ? ipaddr.parseCIDR(text) : whole(ipaddr.parse(text))
      // `::ffff:192.0.2.0/120` is 192.0.2.0/24: requests are compared as IPv4 where they can be.
      if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) return [address.toIPv4Address(), bits - 96]
      return [address, bits]
    })
    networksOf.set(key, known)
  }
  return known
}

function whole(address: ipaddr.IPv4 | ipaddr.IPv6): Network {
  return [address, address instanceof ipaddr.IPv4 ? 32 : 128]
}

function isWithin(address: string, networks: readonly Network[]): boolean {
  const parsed = parse(address)
  if (parsed === undefined) return false
  for (const [network, bits] of networks) {
    if (parsed instanceof ipaddr.IPv4 && network instanceof ipaddr.IPv4 && parsed.match(network, bits)) return true
    if (parsed instanceof ipaddr.IPv6 && network instanceof ipaddr.IPv6 && parsed.match(network, bits)) return true
  }
  return false
}

/** An IPv4 address over an IPv6 socket is that IPv4 address. Only dotted quads are IPv4: `10.1` and `0x7f.1` are nothing. */
function parse(address: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  if (ipaddr.IPv4.isValidFourPartDecimal(address)) return ipaddr.IPv4.parse(address)
  if (!ipaddr.IPv6.isValid(address)) return undefined
  return ipaddr.process(address)
}
