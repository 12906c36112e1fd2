import type { EventBus, Position } from '../bus/port.ts'
import { openView, type View } from '../bus/view.ts'
import type { Instant, Key } from '../schemas/index.ts'
import { parseKey, secretMatches, standingOf } from './keys.ts'
import { mayUseFrom, type Place } from './place.ts'

export interface KeyRegistryOptions {
  readonly bus: EventBus
  /** Told of records that cannot be read as keys, and of trouble with the bus. */
  readonly onError?: (error: unknown) => void
}

/** For logs and events; a client is told none of it. */
export type KeyRefusal = 'malformed' | 'unknown' | 'pending' | 'revoked' | 'expired' | 'bad-place'

export type Verification =
  | {
      readonly ok: true
      readonly principal: string
      readonly organization: string | null
      readonly keyId: string
      readonly createdAt: Instant
    }
  | { readonly ok: false; readonly reason: KeyRefusal }

/** API keys as the compacted `keys` topic has them. */
export interface KeyRegistry {
  list(): readonly Key[]
  get(id: string): Key | undefined
  /** Dead ones included. */
  readonly size: number
  /**
   * Synchronous and from the view, so a revocation counts as soon as this process has read it.
   *
   * @param place where it is used from; without it, keys that are bound to a place are refused
   */
  verify(bearer: string, now: Instant, place?: Place): Verification
  /** Called after each change. Returns a function that stops it. */
  onChange(listener: () => void): () => void
  /** Milliseconds since all that there was was known for certain; see `Tail`. */
  staleMs(): number
  /** Resolves when the record at a position of `keys` is taken in. */
  reached(position: Pick<Position, 'partition' | 'offset'>): Promise<void>
  close(): Promise<void>
}

/** Resolves when every key on the log is known. */
export async function openKeys({ bus, onError }: KeyRegistryOptions): Promise<KeyRegistry> {
  const view = await openView(bus, 'keys', onError === undefined ? {} : { onError })
  return {
    list: () => [...view.values()],
    get: (id) => view.get(id),
    get size() {
      return view.size
    },
    verify: (bearer, now, place) => verify(view, bearer, now, place),
    onChange: (listener) => view.onChange(listener),
    staleMs: () => view.staleMs(),
    reached: (position) => view.reached(position),
    close: () => view.close(),
  }
}

function verify(view: Pick<View<Key>, 'get'>, bearer: string, now: Instant, place: Place | undefined): Verification {
  const parts = parseKey(bearer)
  if (parts === null) return { ok: false, reason: 'malformed' }
  const key = view.get(parts.id)
  const matches = secretMatches(key, parts.secret)
  if (key === undefined) return { ok: false, reason: 'unknown' }
  const standing = standingOf(key, now)
  if (standing === 'pending') return { ok: false, reason: 'pending' }
  if (!matches) return { ok: false, reason: 'unknown' }
  if (standing !== 'active') return { ok: false, reason: standing }
  // Last: a stranger who tries ids learns nothing of where keys may be used.
  if (!mayUseFrom(key, place)) return { ok: false, reason: 'bad-place' }
  return { ok: true, principal: key.principal, organization: key.organization, keyId: key.id, createdAt: key.createdAt }
}
