import type { Instant, Key } from '../schemas/index.ts'
import { standingOf } from './keys.ts'

/** What a rotation puts on the log, and the pending keys it leads to. */
export interface Rotation {
  /** Keys to write: old ones with their new expiry, and new successors. */
  readonly changes: readonly Key[]
  readonly successors: readonly string[]
}

/**
 * Rotates keys: each gets a pending successor and dies at `oldDiesAt`, or earlier where it was to die earlier.
 * Pure. Doing it again changes nothing: a key that has a successor keeps that one, and an expiry only ever
 * moves nearer.
 *
 * @param rotating the keys to rotate; those that do not work at `now` are left alone
 * @param all every key, to find successors that exist already
 * @param newId makes an id for a successor
 */
export function planRotation(
  rotating: readonly Key[],
  all: Iterable<Key>,
  oldDiesAt: Instant,
  now: Instant,
  newId: () => string,
): Rotation {
  const successorsOf = successorsByPredecessor(all)
  const changes: Key[] = []
  const successors: string[] = []
  for (const key of rotating) {
    if (standingOf(key, now) !== 'active') continue
    const earlier = successorsOf.get(key.id) ?? []
    const standing = earlier.find((successor) => successor.state !== 'revoked')
    const expiresAt = key.expiresAt === null ? oldDiesAt : Math.min(key.expiresAt, oldDiesAt)
    if (expiresAt !== key.expiresAt) changes.push({ ...key, expiresAt })
    if (standing?.state === 'pending') successors.push(standing.id)
    if (standing !== undefined) continue
    const successor = succeed(key, earlier, now, newId())
    changes.push(successor)
    successors.push(successor.id)
  }
  return { changes, successors }
}

function successorsByPredecessor(all: Iterable<Key>): Map<string, Key[]> {
  const map = new Map<string, Key[]>()
  for (const key of all) {
    if (key.replaces === null) continue
    const list = map.get(key.replaces)
    if (list === undefined) map.set(key.replaces, [key])
    else list.push(key)
  }
  return map
}

/**
 * What a key is for and where it may be used goes on to its successor. A rotation does not lengthen a key's life: the successor inherits the expiry. Where an earlier successor was
 * revoked, the key's own expiry is already the end of the overlap, so the lifetime is that successor's.
 */
function succeed(key: Key, earlier: readonly Key[], now: Instant, id: string): Key {
  return {
    ...key,
    id,
    hash: null,
    state: 'pending',
    createdAt: now,
    expiresAt: earlier[0] === undefined ? key.expiresAt : earlier[0].expiresAt,
    revokedAt: null,
    replaces: key.id,
  }
}
