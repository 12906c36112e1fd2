import { encode, newEvent } from '../bus/codec.ts'
import type { EventBus, Position } from '../bus/port.ts'
import type { Instant, Key } from '../schemas/index.ts'
import { AccessError } from './errors.ts'
import { checkOwner } from './key-owner.ts'
import type { KeyRegistry } from './key-registry.ts'
import { newKeyId, standingOf } from './keys.ts'
import { planRotation } from './rotation.ts'

/** By which keys are written: the charge of the process that writes the control topics. */
export interface KeyCharge extends Pick<EventBus, 'publish'> {
  /** Taking charge waits until what was written before is known. */
  follow(topic: 'keys', reached: (position: Position) => Promise<unknown>): void
}

export interface KeyWriterOptions {
  /** What is known of keys; the writer waits until its changes are. */
  readonly keys: KeyRegistry
  readonly charge: KeyCharge
  readonly clock: () => Instant
  /** Who says so on the log. */
  readonly source: string
  /** Most keys, dead ones included. Default 100,000. */
  readonly maxKeys?: number
  /** How long a written key may take to come back. Default 10,000 ms. */
  readonly visibleWithinMs?: number
}

/**
 * Changes API keys, one change after another. Each is durable, and known to the registry, before its promise resolves.
 * Doing the same again changes nothing. Errors: {@link AccessErrorCode}, and those of the charge and the bus.
 */
export interface KeyWriter {
  /** Puts a key on record whose secret was made elsewhere. */
  create(key: Key): Promise<Key>
  /** Ends a key at once. Null when there is none; an ended key stays as it is. */
  revoke(id: string): Promise<Key | null>
  /** Rotates one key, or every working key of a principal; returns pending successors. See {@link planRotation}. */
  rotate(principalOrKeyId: string, oldDiesAt: Instant): Promise<readonly string[]>
  /** Gives a pending successor the hash of its secret; see `KeyCommands.claim`. */
  claim(what: string, hash: string): Promise<Key | null>
  /** Waits for what runs. The registry stays open: it is its opener's. */
  close(): Promise<void>
}

export function openKeyWriter(options: KeyWriterOptions): KeyWriter {
  return new LoggedKeyWriter(options)
}

class LoggedKeyWriter implements KeyWriter {
  readonly #options: KeyWriterOptions & Required<Pick<KeyWriterOptions, 'maxKeys' | 'visibleWithinMs'>>
  readonly #keys: KeyRegistry
  #last: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: KeyWriterOptions) {
    this.#options = { maxKeys: 100_000, visibleWithinMs: 10_000, ...options }
    this.#keys = options.keys
    options.charge.follow('keys', (position) => options.keys.reached(position))
  }

  create(key: Key): Promise<Key> {
    return this.#inTurn(async () => {
      const known = this.#keys.get(key.id)
      if (known !== undefined && known.hash === key.hash) return known
      if (known !== undefined) throw new AccessError('KEY_INVALID', `Making the key ${key.id}: there is one of that id; make it again.`)
      if (key.hash === null || key.state !== 'active' || key.revokedAt !== null || key.replaces !== null)
        throw new AccessError('KEY_INVALID', `Making the key ${key.id}: a new key is active, has a hash and succeeds none.`)
      checkOwner(key, this.#options.clock())
      this.#makeRoom(1)
      await this.#write([key])
      return key
    })
  }

  revoke(id: string): Promise<Key | null> {
    return this.#inTurn(async () => {
      const key = this.#keys.get(id)
      if (key === undefined || key.state === 'revoked') return key ?? null
      const revoked: Key = { ...key, state: 'revoked', revokedAt: this.#options.clock() }
      await this.#write([revoked])
      return revoked
    })
  }

  rotate(principalOrKeyId: string, oldDiesAt: Instant): Promise<readonly string[]> {
    return this.#inTurn(async () => {
      const one = this.#keys.get(principalOrKeyId)
      const all = this.#keys.list()
      const rotating = one === undefined ? all.filter((key) => key.principal === principalOrKeyId) : [one]
      const { changes, successors } = planRotation(rotating, all, oldDiesAt, this.#options.clock(), () => this.#freeId())
      if (changes.length === 0) return successors
      this.#makeRoom(changes.filter(({ id }) => this.#keys.get(id) === undefined).length)
      await this.#write(changes)
      return successors
    })
  }

  claim(what: string, hash: string): Promise<Key | null> {
    return this.#inTurn(async () => {
      const claimed = this.#keys.list().find((key) => key.hash === hash)
      if (claimed !== undefined) return claimed
      const key = this.#pendingOf(what, this.#options.clock())
      if (key === undefined) return null
      const active: Key = { ...key, hash, state: 'active' }
      await this.#write([active])
      return active
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#last.catch(() => {})
  }

  #pendingOf(what: string, now: Instant): Key | undefined {
    const pending = this.#keys.list().filter((key) => standingOf(key, now) === 'pending')
    const named = pending.find((key) => key.id === what || key.replaces === what)
    if (named !== undefined) return named
    return pending.filter((key) => key.principal === what).sort((a, b) => a.createdAt - b.createdAt)[0]
  }

  #freeId(): string {
    for (;;) {
      const id = newKeyId()
      if (this.#keys.get(id) === undefined) return id
    }
  }

  #makeRoom(keys: number): void {
    const { maxKeys } = this.#options
    if (this.#keys.size + keys > maxKeys)
      throw new AccessError('KEY_LIMIT', `Making ${keys} key(s): there are ${this.#keys.size} of at most ${maxKeys}; raise the limit.`)
  }

  /** Appends the keys at once and waits until the registry knows them. */
  async #write(keys: readonly Key[]): Promise<void> {
    const { charge, source, clock } = this.#options
    const positions = await charge.publish(keys.map((key) => encode('keys', newEvent('key', key, source, clock()))))
    await this.#within(Promise.all(positions.map((position) => this.#keys.reached(position))))
  }

  async #within(visible: Promise<unknown>): Promise<void> {
    const { visibleWithinMs } = this.#options
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      const message = `The change is durable, but was not read back within ${visibleWithinMs} ms; look again with a list.`
      timer = setTimeout(() => reject(new AccessError('KEY_NOT_VISIBLE', message)), visibleWithinMs)
    })
    // Where it was late, the rest is of no interest.
    visible.catch(() => {})
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
