import { typeOf } from './failures.ts'

/** Tells what fails again and again once for each kind of failure, until there is success again. */
export class Outage {
  readonly #tell: (error: unknown) => void
  readonly #told = new Set<string>()

  constructor(tell: (error: unknown) => void) {
    this.#tell = tell
  }

  failed(error: unknown): void {
    const kind = typeOf(error) ?? ''
    if (this.#told.has(kind)) return
    this.#told.add(kind)
    this.#tell(error)
  }

  over(): void {
    this.#told.clear()
  }
}
