import type { Logger } from 'pino'

/** What was opened, to be closed in the opposite order. */
export class Closers {
  readonly #opened: { readonly name: string; readonly close: () => Promise<unknown> | unknown }[] = []

  add(name: string, close: () => Promise<unknown> | unknown): void {
    this.#opened.push({ name, close })
  }

  /** To be closed with the others; the same, for whoever opened it. */
  keep<T extends { close(): unknown }>(name: string, opened: T): T {
    this.add(name, () => opened.close())
    return opened
  }

  /** Closes everything, whatever fails; says which failed. Returns whether all went well. */
  async closeAll(log: Logger): Promise<boolean> {
    let well = true
    for (let next = this.#opened.pop(); next !== undefined; next = this.#opened.pop()) {
      try {
        await next.close()
        log.debug({ part: next.name }, 'closed')
      } catch (err) {
        well = false
        log.error({ err, part: next.name }, 'closing failed')
      }
    }
    return well
  }
}
