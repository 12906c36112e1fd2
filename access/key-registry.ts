import { encode, newEvent } from '../bus/codec.ts'
import type { EventBus } from '../bus/port.ts'
import { openView, type View } from '../bus/view.ts'
import { type EventId, type Instant, type Key, Name } from '../schemas/index.ts'
import { AccessError } from './errors.ts'
import { formatKey, hashSecret, newKeyId, newSecret, parseKey, secretMatches, standingOf } from './keys.ts'
import { planRotation } from './rotation.ts'

export interface KeyRegistryOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  /** Who says so on the log: the role or node. */
  readonly source: string
  /** Most keys, dead ones included. Default 100,000. */
  readonly maxKeys?: number
  /** Told of records that cannot be read as keys, and of trouble with the bus. */
  readonly onError?: (error: unknown) => void
  /** How long a written key may take to come back in the view. Default 10,000 ms. */
  readonly visibleWithinMs?: number
}

export interface NewKey {
  readonly principal: string
  readonly organization?: string | null
  readonly expiresAt?: Instant | null
}

export interface IssuedKey {
  readonly keyId: string
  /** The whole key. It exists here and nowhere else: the log has its hash. */
  readonly key: string
  readonly principal: string
  readonly organization: string | null
}

/** For logs and events; a client is told none of it. */
export type KeyRefusal = 'malformed' | 'unknown' | 'pending' | 'revoked' | 'expired'

export type Verification =
  | { readonly ok: true; readonly principal: string; readonly organization: string | null; readonly keyId: string }
  | { readonly ok: false; readonly reason: KeyRefusal }

/**
 * API keys over the compacted `keys` topic. Every change is durable, and visible to `verify` of this process,
 * before its promise resolves; other processes follow as they read the log. Changes of one registry run one
 * after another. Errors: {@link AccessErrorCode}, and those of the bus.
 */
export interface KeyRegistry {
  create(request: NewKey): Promise<IssuedKey>
  list(): readonly Key[]
  get(id: string): Key | undefined
  /** Ends a key at once. Null when there is none; an ended key stays as it is. */
  revoke(id: string): Promise<Key | null>
  /** Rotates one key, or every working key of a principal; returns pending successors. See {@link planRotation}. */
  rotate(principalOrKeyId: string, oldDiesAt: Instant): Promise<readonly string[]>
  /**
   * Makes the secret of a pending successor, named by its id, by the id it replaces or by its principal (then
   * the oldest). Null when nothing is pending. A second claim finds nothing: a secret is shown once.
   */
  claim(what: string): Promise<IssuedKey | null>
  /** Synchronous and from the view, so a revocation counts as soon as this process has read it. */
  verify(bearer: string, now: Instant): Verification
  close(): Promise<void>
}

export async function openKeyRegistry(options: KeyRegistryOptions): Promise<KeyRegistry> {
  const view = await openView(options.bus, 'keys', options.onError === undefined ? {} : { onError: options.onError })
  return new LoggedKeyRegistry(options, view)
}

class LoggedKeyRegistry implements KeyRegistry {
  readonly #options: KeyRegistryOptions & Required<Pick<KeyRegistryOptions, 'maxKeys' | 'visibleWithinMs'>>
  readonly #view: View<Key>
  readonly #waiting = new Map<EventId, () => void>()
  readonly #forget: () => void
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: KeyRegistryOptions, view: View<Key>) {
    this.#options = { maxKeys: 100_000, visibleWithinMs: 10_000, ...options }
    this.#view = view
    this.#forget = view.onChange((_id, _key, event) => {
      if (event !== null) this.#waiting.get(event.id)?.()
    })
  }

  create({ principal, organization = null, expiresAt = null }: NewKey): Promise<IssuedKey> {
    return this.#inTurn(async () => {
      const now = this.#options.clock()
      checkOwner(principal, organization, expiresAt, now)
      this.#makeRoom(1)
      const secret = newSecret()
      const id = this.#freeId()
      const created = { createdAt: now, expiresAt, revokedAt: null, replaces: null }
      await this.#write([{ id, principal, organization, hash: hashSecret(secret), state: 'active', ...created }])
      return { keyId: id, key: formatKey({ id, secret }), principal, organization }
    })
  }

  list(): readonly Key[] {
    return [...this.#view.values()]
  }

  get(id: string): Key | undefined {
    return this.#view.get(id)
  }

  revoke(id: string): Promise<Key | null> {
    return this.#inTurn(async () => {
      const key = this.#view.get(id)
      if (key === undefined || key.state === 'revoked') return key ?? null
      const revoked: Key = { ...key, state: 'revoked', revokedAt: this.#options.clock() }
      await this.#write([revoked])
      return revoked
    })
  }

  rotate(principalOrKeyId: string, oldDiesAt: Instant): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const one = this.#view.get(principalOrKeyId)
      const all = this.list()
      const rotating = one === undefined ? all.filter((key) => key.principal === principalOrKeyId) : [one]
      const { changes, successors } = planRotation(rotating, all, oldDiesAt, this.#options.clock(), () => this.#freeId())
      if (changes.length === 0) return successors
      this.#makeRoom(changes.filter(({ id }) => this.#view.get(id) === undefined).length)
      await this.#write(changes)
      return successors
    })
  }

  claim(what: string): Promise<IssuedKey | null> {
    return this.#inTurn(async () => {
      const now = this.#options.clock()
      const key = this.#pendingOf(what, now)
      if (key === undefined) return null
      const secret = newSecret()
      await this.#write([{ ...key, hash: hashSecret(secret), state: 'active' }])
      return { keyId: key.id, key: formatKey({ id: key.id, secret }), principal: key.principal, organization: key.organization }
    })
  }

  verify(bearer: string, now: Instant): Verification {
    const parts = parseKey(bearer)
    if (parts === null) return { ok: false, reason: 'malformed' }
    const key = this.#view.get(parts.id)
    const matches = secretMatches(key, parts.secret)
    if (key === undefined) return { ok: false, reason: 'unknown' }
    const standing = standingOf(key, now)
    if (standing === 'pending') return { ok: false, reason: 'pending' }
    if (!matches) return { ok: false, reason: 'unknown' }
    if (standing !== 'active') return { ok: false, reason: standing }
    return { ok: true, principal: key.principal, organization: key.organization, keyId: key.id }
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last.catch(() => {})
    this.#forget()
    await this.#view.close()
  }

  #pendingOf(what: string, now: Instant): Key | undefined {
    const pending = this.list().filter((key) => standingOf(key, now) === 'pending')
    const named = pending.find((key) => key.id === what || key.replaces === what)
    if (named !== undefined) return named
    return pending.filter((key) => key.principal === what).sort((a, b) => a.createdAt - b.createdAt)[0]
  }

  #freeId(): string {
    for (;;) {
      const id = newKeyId()
      if (this.#view.get(id) === undefined) return id
    }
  }

  #makeRoom(keys: number): void {
    const { maxKeys } = this.#options
    if (this.#view.size + keys > maxKeys)
      throw new AccessError('KEY_LIMIT', `Making ${keys} key(s): there are ${this.#view.size} of at most ${maxKeys}; raise the limit.`)
  }

  /** Appends the keys at once and waits until this process's view shows them. */
  async #write(keys: readonly Key[]): Promise<void> {
    const { bus, source, clock } = this.#options
    const events = keys.map((key) => newEvent('key', key, source, clock()))
    const visible = events.map(({ id }) => this.#seen(id))
    try {
      await bus.publish(events.map((event) => encode('keys', event)))
      await this.#within(Promise.all(visible))
    } finally {
      for (const { id } of events) this.#waiting.delete(id)
    }
  }

  #seen(id: EventId): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve)
    })
  }

  async #within(visible: Promise<unknown>): Promise<void> {
    const { visibleWithinMs } = this.#options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      const message = `The change is durable, but was not read back within ${visibleWithinMs} ms; look again with a list.`
      timer = setTimeout(() => reject(new AccessError('KEY_NOT_VISIBLE', message)), visibleWithinMs)
    })
    try {
      await Promise.race([visible, late])
    } finally {
      clearTimeout(timer)
    }
  }

  #inTurn<T>(change: () => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new AccessError('CLOSED', 'Changing a key: the registry is closed.'))
    const done = this.#last.then(change, change)
    this.#last = done.catch(() => {})
    return done
  }
}

function checkOwner(principal: string, organization: string | null, expiresAt: Instant | null, now: Instant): void {
  const wrong = (what: string) => new AccessError('PRINCIPAL_INVALID', `Making a key: ${what}.`)
  if (!Name.safeParse(principal).success) throw wrong('the principal must be letters, digits and . _ @ + : -, at most 128 of them')
  if (principal === 'anonymous') throw wrong('the principal `anonymous` stands for requests without a key')
  if (organization !== null && !Name.safeParse(organization).success) throw wrong('the organization is not a valid name')
  if (expiresAt !== null && !(Number.isSafeInteger(expiresAt) && expiresAt > now)) throw wrong('the expiry is not a moment in the future')
}
