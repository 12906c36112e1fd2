import type { Instant, Key, Order } from '../schemas/index.ts'
import type { KeyWriter } from './key-writer.ts'

export type KeyOrder = Extract<Order, { kind: 'create-key' | 'revoke-key' | 'rotate-key' | 'claim-key' }>

/**
 * Carries out an order about keys. What it makes never holds a hash. Doing the same order again changes nothing.
 *
 * @param at when it was ordered
 */
export async function carryOutKeyOrder(order: KeyOrder, keys: KeyWriter, at: Instant): Promise<Key | null | string[]> {
  switch (order.kind) {
    case 'create-key':
      return withoutHash(await keys.create(order.key))
    case 'revoke-key':
      return withoutHash(await keys.revoke(order.keyId))
    case 'rotate-key':
      return [...(await keys.rotate(order.what, at + order.overlapMs))]
    case 'claim-key':
      return withoutHash(await keys.claim(order.what, order.hash))
  }
}

function withoutHash(key: Key | null): Key | null {
  return key === null ? null : { ...key, hash: null }
}
