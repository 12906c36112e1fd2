import { connect, type Socket } from 'node:net'
import { performance } from 'node:perf_hooks'
import { connect as connectSecurely } from 'node:tls'

export interface Answer {
  /** 0 where none came. */
  readonly status: number
  /** From sending to the first byte of the body, and to the last, milliseconds. */
  readonly firstMs: number
  readonly ms: number
}

/** PEM of the authority to trust, and of a client's certificate and key. */
export interface Secure {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

interface Asking {
  readonly startedAt: number
  readonly leaves: boolean
  readonly answer: PromiseWithResolvers<Answer>
  firstAt: number
  status: number
  /** What is left of the body; -1 where it comes in chunks. Undefined until the headers are read. */
  left: number | undefined
  seen: Buffer
}

const headEnd = Buffer.from('\r\n\r\n')
const lastChunk = Buffer.from('0\r\n\r\n')
const nothing = Buffer.alloc(0)

/**
 * One keep-alive connection of HTTP/1.1 on a raw socket: some 10 µs a request, so that the load costs less than what
 * it measures. It knows no more of the protocol than answers with a length or in chunks.
 */
export class Connection {
  readonly #port: number
  readonly #secure: Secure | undefined
  #socket: Socket | undefined
  #asking: Asking | undefined

  constructor(port: number, secure?: Secure) {
    this.#port = port
    this.#secure = secure
  }

  /**
   * @param bytes a whole request, headers included
   * @param leaves hang up at the first byte of the body
   */
  async ask(bytes: Uint8Array, leaves = false): Promise<Answer> {
    const socket = this.#socket ?? (await this.#open())
    const answer = Promise.withResolvers<Answer>()
    this.#asking = { startedAt: performance.now(), leaves, answer, firstAt: 0, status: 0, left: undefined, seen: nothing }
    socket.write(bytes)
    return answer.promise
  }

  close(): void {
    this.#socket?.destroy()
    this.#socket = undefined
  }

  async #open(): Promise<Socket> {
    const to = { host: '127.0.0.1', port: this.#port, noDelay: true }
    const socket = this.#secure === undefined ? connect(to) : connectSecurely({ ...to, ...this.#secure })
    await new Promise<void>((resolve, reject) => {
      socket.once(this.#secure === undefined ? 'connect' : 'secureConnect', resolve)
      socket.once('error', reject)
    })
    socket.removeAllListeners('error')
    socket.on('error', () => {})
    socket.on('data', (bytes) => this.#read(bytes))
    socket.on('close', () => this.#lost(socket))
    this.#socket = socket
    return socket
  }

  #lost(socket: Socket): void {
    if (this.#socket === socket) this.#socket = undefined
    const asking = this.#asking
    this.#asking = undefined
    if (asking === undefined) return
    if (asking.leaves) asking.answer.resolve(answerOf(asking))
    else asking.answer.reject(new Error('the connection ended before the answer'))
  }

  #read(bytes: Buffer): void {
    const asking = this.#asking
    if (asking === undefined) return
    const body = asking.left === undefined ? this.#head(asking, bytes) : bytes
    if (body === undefined) return
    if (asking.firstAt === 0 && (body.length > 0 || asking.left === 0)) asking.firstAt = performance.now()
    if (asking.leaves && asking.firstAt > 0) return this.close()
    if (!ended(asking, body)) return
    this.#asking = undefined
    asking.answer.resolve(answerOf(asking))
  }

  /** What follows the headers; undefined while they are not whole. */
  #head(asking: Asking, bytes: Buffer): Buffer | undefined {
    const all = asking.seen.length === 0 ? bytes : Buffer.concat([asking.seen, bytes])
    const end = all.indexOf(headEnd)
    if (end === -1) {
      asking.seen = all
      return undefined
    }
    const head = all.toString('latin1', 0, end)
    asking.status = Number(head.slice(9, 12))
    const length = /\r\ncontent-length: (\d+)/i.exec(head)
    asking.left = length === null ? -1 : Number(length[1])
    asking.seen = nothing
    return all.subarray(end + headEnd.length)
  }
}

function ended(asking: Asking, body: Buffer): boolean {
  if (asking.left === undefined) return false
  if (asking.left >= 0) {
    asking.left -= body.length
    return asking.left <= 0
  }
  // The last five bytes say whether it was the last chunk; they may come in two pieces.
  const tail =
    body.length >= lastChunk.length ? body.subarray(-lastChunk.length) : Buffer.concat([asking.seen, body]).subarray(-lastChunk.length)
  asking.seen = Buffer.from(tail)
  return tail.equals(lastChunk)
}

function answerOf({ startedAt, firstAt, status }: Asking): Answer {
  return { status, firstMs: firstAt - startedAt, ms: performance.now() - startedAt }
}
