import { InferenceError } from '../../errors.ts'

/** Longest event of a stream, in bytes. */
const maxEventBytes = 4_194_304

const lineFeed = 0x0a
const carriageReturn = 0x0d
const nothing = Buffer.alloc(0)

/**
 * Cuts a stream of server-sent events, whose pieces end anywhere, where events end: what comes out are whole events,
 * byte for byte. A client can do nothing with half of one, so holding it back delays nothing.
 */
export class EventSplitter {
  #held = nothing
  #length = 0

  /** @throws InferenceError `UPSTREAM_FAILED` where an event is too long */
  push(chunk: Uint8Array): Buffer {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    if (this.#length === 0) {
      const end = lastEnd(bytes, bytes.length, 0)
      if (end < bytes.length) this.#hold(bytes.subarray(end))
      return bytes.subarray(0, end)
    }
    const before = this.#length
    this.#hold(bytes)
    const end = lastEnd(this.#held, this.#length, Math.max(0, before - 2))
    if (end === 0) return nothing
    const whole = Buffer.from(this.#held.subarray(0, end))
    this.#held.copyWithin(0, end, this.#length)
    this.#length -= end
    return whole
  }

  /** What is left when the stream is at its end. */
  rest(): Buffer {
    const rest = this.#held.subarray(0, this.#length)
    this.#length = 0
    return rest
  }

  /** Into room that doubles: pieces of one byte each must not cost the square of their number. */
  #hold(bytes: Buffer): void {
    const length = this.#length + bytes.length
    if (length > maxEventBytes) throw new InferenceError('UPSTREAM_FAILED', `an event of a stream is longer than ${maxEventBytes} bytes`)
    if (length > this.#held.length) {
      const room = Buffer.allocUnsafe(Math.max(length, 2 * this.#held.length))
      this.#held.copy(room, 0, 0, this.#length)
      this.#held = room
    }
    bytes.copy(this.#held, this.#length)
    this.#length = length
  }
}

/** Where the last whole event ends, looking no further back than `from`; 0 where none does. */
function lastEnd(bytes: Buffer, length: number, from: number): number {
  for (let i = length - 1; i > from; i--) {
    if (bytes[i] !== lineFeed) continue
    const previous = bytes[i - 1]
    if (previous === lineFeed || (previous === carriageReturn && bytes[i - 2] === lineFeed)) return i + 1
  }
  return 0
}

/** The events in a text that ends with one. */
export function* eventsIn(text: string): Generator<string> {
  const feeds = text.includes('\r') ? /\n\r?\n/g : undefined
  let start = 0
  while (start < text.length) {
    const end = feeds === undefined ? afterBlank(text, start) : afterMatch(feeds, text, start)
    yield start === 0 && end === text.length ? text : text.slice(start, end)
    start = end
  }
}

function afterBlank(text: string, start: number): number {
  const at = text.indexOf('\n\n', start)
  return at === -1 ? text.length : at + 2
}

function afterMatch(feeds: RegExp, text: string, start: number): number {
  feeds.lastIndex = start
  const match = feeds.exec(text)
  return match === null ? text.length : match.index + match[0].length
}

/**
 * What an event's data say: the JSON in it, or `[DONE]`.
 *
 * @param encoding how the text was made of bytes; `latin1` is quicker to look at
 * @returns undefined where it has no data, or no JSON
 */
export function valueOf(event: string, encoding: 'latin1' | 'utf8'): unknown {
  const data = dataOf(event)
  if (data === undefined) return undefined
  if (data === '[DONE]') return data
  try {
    return JSON.parse(encoding === 'latin1' ? Buffer.from(data, 'latin1').toString() : data)
  } catch {
    return undefined
  }
}

function dataOf(event: string): string | undefined {
  const lines = event.split(/\r?\n/)
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(line.charCodeAt(5) === 0x20 ? 6 : 5))
  return data.length === 0 ? undefined : data.join('\n').trim()
}

/** The event with other data; its other lines stay. */
export function withValue(event: string, value: unknown): string {
  const others = event.split(/\r?\n/).filter((line) => line !== '' && !line.startsWith('data:'))
  return `${[...others, `data: ${JSON.stringify(value)}`].join('\n')}\n\n`
}
