const keptChars = 65_536
const graveLine = /"level":(?:50|60)[^\n]*/

/** Reads a log as it comes, all of it, and keeps its end. */
export class LogScan {
  #early = ''
  #hidden: readonly string[] | undefined
  #parts: readonly LogScan[] = []
  #tail = ''
  #leaked = false
  #grave: string | undefined
  #chars = 0

  /** Several as one. */
  static of(parts: readonly LogScan[]): LogScan {
    const whole = new LogScan()
    whole.#parts = parts
    return whole
  }

  /** What must not be in it; what came before is looked through now. */
  hide(hidden: readonly string[]): void {
    for (const part of this.#parts) part.hide(hidden)
    this.#hidden = hidden
    const early = this.#early
    this.#early = ''
    this.#look(early)
  }

  read(text: string): void {
    this.#chars += text.length
    if (this.#hidden === undefined) this.#early += text
    else this.#look(text)
    this.#tail = (this.#tail + text).slice(-keptChars)
  }

  get chars(): number {
    return this.#parts.reduce((sum, { chars }) => sum + chars, this.#chars)
  }

  get leaked(): boolean {
    return this.#leaked || this.#parts.some(({ leaked }) => leaked)
  }

  /** The first line that says an error. */
  get grave(): string | undefined {
    return this.#grave ?? this.#parts.map(({ grave }) => grave).find((line) => line !== undefined)
  }

  get tail(): string {
    return (this.#tail + this.#parts.map(({ tail }) => tail).join('\n')).slice(-3_000)
  }

  /** What stands across two pieces is found too: the end of the one before is looked through again. */
  #look(text: string): void {
    const longest = Math.max(32, ...(this.#hidden ?? []).map(({ length }) => length))
    const both = this.#tail.slice(-longest) + text
    this.#leaked ||= (this.#hidden ?? []).some((secret) => both.includes(secret))
    this.#grave ??= graveLine.exec(both)?.[0].slice(0, 3_000)
  }
}
