import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'

/** A request that is being answered, on its connection. */
export interface Call {
  readonly reply: FastifyReply
  /** The connection ended before the answer was ready. */
  lost(): void
  /** Its time is over: the node closes. */
  expire(): void
}

/**
 * The calls of each connection. A response that waits behind another on its connection is never told that the connection closed;
 * so it is the connection that is listened to, once, however many requests come over it. Holds what the server's limits let in.
 */
export class Connections {
  readonly #calls = new Map<Socket, Set<Call>>()

  /** Requests that are being answered. */
  get size(): number {
    let size = 0
    for (const calls of this.#calls.values()) size += calls.size
    return size
  }

  /** @returns how many there are on the connection now, this one included */
  add(socket: Socket, call: Call): number {
    const calls = this.#calls.get(socket) ?? this.#open(socket)
    calls.add(call)
    return calls.size
  }

  delete(socket: Socket, call: Call): void {
    this.#calls.get(socket)?.delete(call)
  }

  /** Whether some request on the connection still waits for its answer. */
  working(socket: Socket): boolean {
    return (this.#calls.get(socket)?.size ?? 0) > 0
  }

  /** Whether an answer has begun and not ended: nothing else can be said on the connection then. */
  answering(socket: Socket): boolean {
    for (const { reply } of this.#calls.get(socket) ?? []) if (reply.raw.headersSent && !reply.raw.writableEnded) return true
    return false
  }

  expireAll(): void {
    for (const calls of this.#calls.values()) for (const call of calls) call.expire()
  }

  #open(socket: Socket): Set<Call> {
    const calls = new Set<Call>()
    this.#calls.set(socket, calls)
    socket.once('close', () => {
      this.#calls.delete(socket)
      for (const call of calls) call.lost()
    })
    return calls
  }
}
