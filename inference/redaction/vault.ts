import { createHmac } from 'node:crypto'

/** Values that one request may have tokens for; what is beyond is masked. */
const maxTokens = 4_096
/** Characters that values may add to one request's answer: a model that says the token of a long value over and over fills no memory. */
const maxRestored = 16_777_216
const tokens = /\[[A-Z][A-Z0-9-]{0,31}_[0-9a-f]{4}\]/g
const longestToken = 39

/** Tells apart whose tokens they are: a digest of the same value is the same for one principal, and for nobody else. */
interface TokenKey {
  readonly key: Uint8Array
  readonly principal: string
}

export function maskOf(kind: string): string {
  return `[${kind.toUpperCase()}]`
}

/**
 * What the tokens of one request stand for; gone when the request is. The same value has the same token each time, in the next
 * turn of a chat too, so that the model's server can reuse what it knows of the turns before; and nobody can guess one, so that a
 * document in the prompt cannot ask for what it does not see.
 */
export class Vault {
  readonly #owner: TokenKey
  readonly #byToken = new Map<string, string>()
  readonly #byValue = new Map<string, string>()
  /** What looks like a token in the request itself: none is given out twice. */
  readonly #taken = new Set<string>()
  #restored = 0

  constructor(owner: TokenKey) {
    this.#owner = owner
  }

  get size(): number {
    return this.#byToken.size
  }

  /** Looks at a text of the request before any of its tokens are made. */
  reserve(text: string): void {
    if (text.includes('[')) for (const [token] of text.matchAll(tokens)) if (this.#taken.size < maxTokens) this.#taken.add(token)
  }

  /** @returns a token, or the kind's mask where there are too many */
  tokenOf(kind: string, value: string): string {
    const name = `${kind}\0${value}`
    const known = this.#byValue.get(name)
    if (known !== undefined) return known
    if (this.#byToken.size >= maxTokens) return maskOf(kind)
    for (let attempt = 0; attempt < 64; attempt++) {
      const digest = createHmac('sha256', this.#owner.key).update(`${attempt}\0${this.#owner.principal}\0${name}`).digest('hex')
      const token = `[${kind.toUpperCase()}_${digest.slice(0, 4)}]`
      if (this.#taken.has(token) || this.#byToken.has(token)) continue
      this.#byToken.set(token, value)
      this.#byValue.set(name, token)
      return token
    }
    return maskOf(kind)
  }

  /** The text with what its tokens stand for; the same string where it has none. Beyond 16 million characters tokens stay. */
  restore(text: string): string {
    if (this.#byToken.size === 0 || !text.includes('[')) return text
    return text.replace(tokens, (token) => {
      const value = this.#byToken.get(token)
      if (value === undefined || this.#restored + value.length > maxRestored) return token
      this.#restored += value.length
      return value
    })
  }

  /** Where a token may have begun that is not complete; the text's length where none has. */
  unfinished(text: string): number {
    const at = text.lastIndexOf('[')
    if (this.#byToken.size === 0 || at === -1 || text.length - at >= longestToken) return text.length
    return /^\[(?:[A-Z][A-Z0-9-]{0,31}(?:_[0-9a-f]{0,4})?)?$/.test(text.slice(at)) ? at : text.length
  }
}
