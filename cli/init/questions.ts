import { createInterface, type Interface } from 'node:readline/promises'
import { CliError } from '../errors.ts'

/** Asks, line by line. Answers may also come from a pipe, and then before their questions. */
export class Questions {
  readonly #lines: string[] = []
  readonly #interface: Interface
  #waiting: ((line: string | null) => void) | undefined
  #ended = false

  constructor(input: NodeJS.ReadableStream, output: NodeJS.WritableStream, terminal: boolean) {
    this.#interface = createInterface({ input, output, terminal })
    this.#interface.on('line', (line) => {
      if (this.#waiting === undefined) this.#lines.push(line)
      else this.#answer(line)
    })
    this.#interface.on('close', () => {
      this.#ended = true
      this.#answer(null)
    })
  }

  /**
   * Asks until the answer can be read; nothing is the default.
   *
   * @throws CliError `USAGE` where the input ends before
   */
  async ask<T>(text: string, standard: string, parse: (answer: string) => T): Promise<T> {
    for (;;) {
      const answer = (await this.#line(standard === '' ? `${text}: ` : `${text} [${standard}]: `)).trim()
      try {
        return parse(answer === '' ? standard : answer)
      } catch (error) {
        if (!(error instanceof CliError)) throw error
        this.say(error.message)
      }
    }
  }

  say(text: string): void {
    this.#interface.setPrompt(`${text}\n`)
    this.#interface.prompt()
  }

  close(): void {
    this.#interface.close()
  }

  async #line(prompt: string): Promise<string> {
    this.#interface.setPrompt(prompt)
    this.#interface.prompt()
    const waiting = this.#lines.shift()
    if (waiting !== undefined) return waiting
    const line = this.#ended ? null : await new Promise<string | null>((resolve) => (this.#waiting = resolve))
    if (line !== null) return line
    throw new CliError('USAGE', 'the input ended before every question was answered: add --yes to take the defaults of what no flag says')
  }

  #answer(line: string | null): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.(line)
  }
}
