import type { TextStream } from './text-stream.ts'
import type { Vault } from './vault.ts'

/** Writes what tokens stand for; holds back no more than what may become one. */
export class RestoreStream implements TextStream {
  readonly #vault: Vault
  #held = ''

  constructor(vault: Vault) {
    this.#vault = vault
  }

  push(piece: string): string {
    const text = this.#held + piece
    const until = this.#vault.unfinished(text)
    this.#held = text.slice(until)
    return this.#vault.restore(text.slice(0, until))
  }

  end(): string {
    const rest = this.#held
    this.#held = ''
    return rest
  }
}
