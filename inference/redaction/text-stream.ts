/** A text on its way, piece by piece. Whatever the pieces, what comes out is what the whole text would become. */
export interface TextStream {
  /** @returns what may pass now */
  push(piece: string): string
  /** What was held back. */
  end(): string
}

/** One behind the other. */
export class ChainedStream implements TextStream {
  readonly #streams: readonly TextStream[]

  constructor(streams: readonly TextStream[]) {
    this.#streams = streams
  }

  push(piece: string): string {
    return this.#streams.reduce((text, stream) => (text === '' ? '' : stream.push(text)), piece)
  }

  end(): string {
    return this.#streams.reduce((text, stream) => (text === '' ? '' : stream.push(text)) + stream.end(), '')
  }
}
