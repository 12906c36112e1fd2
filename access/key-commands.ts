import { z } from 'zod'
import { type Capability, type Instant, Key } from '../schemas/index.ts'
import { AccessError } from './errors.ts'
import type { KeyOrder } from './key-orders.ts'
import { checkOwner } from './key-owner.ts'
import type { KeyRegistry } from './key-registry.ts'
import { formatKey, hashSecret, newKeyId, newSecret } from './keys.ts'

const Use = Key.pick({ addresses: true, origins: true, roles: true, capabilities: true })

export interface NewKey {
  readonly principal: string
  readonly organization?: string | null
  readonly expiresAt?: Instant | null
  /** Addresses and networks (CIDR) that it may be used from; none for anywhere. */
  readonly addresses?: readonly string[]
  /** Pages that a browser may use it from; none for any. */
  readonly origins?: readonly string[]
  readonly roles?: readonly string[]
  /** Default: inference alone. */
  readonly capabilities?: readonly Capability[]
}

export interface IssuedKey {
  readonly keyId: string
  /** The whole key. It exists here and nowhere else: the log has its hash. */
  readonly key: string
  readonly principal: string
  readonly organization: string | null
}

export interface KeyCommandsOptions {
  readonly keys: KeyRegistry
  /** Has an order carried out, and resolves with what it made. */
  readonly order: (order: KeyOrder, by: string) => Promise<unknown>
  readonly clock: () => Instant
  /** How long a key may take to come back in the registry of this process. Default 10,000 ms. */
  readonly visibleWithinMs?: number
}

/**
 * Makes keys where they are shown: the secret stays in this process, and only its hash is ordered. A key works in this
 * process before its promise resolves; others follow as they read the log. Errors: {@link AccessErrorCode}, and those of the order.
 */
export interface KeyCommands {
  create(request: NewKey, by: string): Promise<IssuedKey>
  /**
   * Makes the secret of a pending successor, named by its id, by the id it replaces or by its principal (then
   * the oldest). Null when nothing is pending. A second claim finds nothing: a secret is shown once.
   */
  claim(what: string, by: string): Promise<IssuedKey | null>
}

export function keyCommands({ keys, order, clock, visibleWithinMs = 10_000 }: KeyCommandsOptions): KeyCommands {
  const isVisible = (id: string, hash: string) => () => keys.get(id)?.hash === hash
  return {
    async create(request, by) {
      const now = clock()
      const { principal, organization = null, expiresAt = null } = request
      checkOwner({ principal, organization, expiresAt }, now)
      const id = newKeyId()
      const secret = newSecret()
      const hash = hashSecret(secret)
      const state = { state: 'active', createdAt: now, expiresAt, revokedAt: null, replaces: null } as const
      const key: Key = { id, principal, organization, hash, ...state, ...useOf(request) }
      await order({ kind: 'create-key', key }, by)
      await visible(keys, isVisible(id, hash), visibleWithinMs)
      return { keyId: id, key: formatKey({ id, secret }), principal, organization }
    },
    async claim(what, by) {
      const secret = newSecret()
      const hash = hashSecret(secret)
      const claimed = (await order({ kind: 'claim-key', what, hash }, by)) as Key | null
      if (claimed === null) return null
      const { id, principal, organization } = claimed
      await visible(keys, isVisible(id, hash), visibleWithinMs)
      return { keyId: id, key: formatKey({ id, secret }), principal, organization }
    },
  }
}

/** @throws AccessError `KEY_INVALID` where an address, an origin or a role is none: an open key must not come of a typing error */
function useOf({ addresses = [], origins = [], roles = [], capabilities = ['inference'] }: NewKey): z.infer<typeof Use> {
  const use = Use.safeParse({ addresses, origins, roles, capabilities })
  if (!use.success) throw new AccessError('KEY_INVALID', `Making a key: ${z.prettifyError(use.error)}`)
  return use.data
}

async function visible(keys: KeyRegistry, isVisible: () => boolean, withinMs: number): Promise<void> {
  if (isVisible()) return
  const seen = Promise.withResolvers<void>()
  const stop = keys.onChange(() => {
    if (isVisible()) seen.resolve()
  })
  const message = `The key is made, but was not read back within ${withinMs} ms; revoke it, since its secret is lost, and make another.`
  const timer = setTimeout(() => seen.reject(new AccessError('KEY_NOT_VISIBLE', message)), withinMs)
  try {
    await seen.promise
  } finally {
    clearTimeout(timer)
    stop()
  }
}
