import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

/** A process of its own, so that what is measured shares no event loop, heap or garbage collector with who measures. */
export interface Child {
  /** What the program said when it was ready. */
  readonly ready: unknown
  /** Sends an order and waits for its result. Throws what the program threw, or that it ended. */
  ask<T>(order: string, argument?: unknown): Promise<T>
  close(): Promise<void>
}

type Reply = { readonly id: number; readonly result?: unknown; readonly error?: string }
type Orders = Readonly<Record<string, (argument: never) => unknown>>

/** Starts a program that calls {@link obey}; resolves when it is ready. */
export async function openChild(program: URL, argument: unknown = null, execArgv: readonly string[] = []): Promise<Child> {
  const child = fork(program, [JSON.stringify(argument)], { serialization: 'advanced', execArgv: [...process.execArgv, ...execArgv] })
  const waiting = new Map<number, (reply: Reply) => void>()
  const ready = Promise.withResolvers<Reply>()
  waiting.set(0, ready.resolve)
  child.on('message', (reply: Reply) => {
    waiting.get(reply.id)?.(reply)
    waiting.delete(reply.id)
  })
  child.once('exit', (code) => {
    for (const [id, tell] of waiting) tell({ id, error: `${program.pathname} ended with ${code}` })
    waiting.clear()
  })
  let next = 1
  return {
    ready: resultOf(await ready.promise),
    ask: async <T>(order: string, given?: unknown): Promise<T> => {
      const id = next++
      const reply = Promise.withResolvers<Reply>()
      waiting.set(id, reply.resolve)
      child.send({ id, order, argument: given })
      return resultOf(await reply.promise) as T
    },
    close: () => end(child),
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const gone = once(child, 'exit')
  child.disconnect()
  const impatient = setTimeout(() => child.kill('SIGKILL'), 10_000)
  await gone
  clearTimeout(impatient)
}

function resultOf({ result, error }: Reply): unknown {
  if (error !== undefined) throw new Error(error)
  return result
}

/** The argument that the parent gave. */
export function argumentOf<T>(): T {
  return JSON.parse(process.argv[2] ?? 'null') as T
}

/** The program's side: says that it is ready, obeys one order after the other, and ends with its parent. */
export function obey(ready: unknown, orders: Orders, close: () => Promise<void> = async () => {}): void {
  process.on('message', async ({ id, order, argument }: { id: number; order: string; argument: never }) => {
    try {
      process.send?.({ id, result: await orders[order]?.(argument) })
    } catch (error) {
      process.send?.({ id, error: String(error) })
    }
  })
  process.once('disconnect', async () => {
    await close()
    process.exit()
  })
  process.send?.({ id: 0, result: ready })
}
