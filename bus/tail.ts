import type { EventBus, Tail, TailOptions } from './port.ts'

/** Tails a topic; resolves when all that was in it has been delivered. */
export async function openTail(bus: Pick<EventBus, 'tail'>, options: Omit<TailOptions, 'onCaughtUp'>): Promise<Tail> {
  const caughtUp = Promise.withResolvers<void>()
  const tail = await bus.tail({ ...options, onCaughtUp: caughtUp.resolve })
  await caughtUp.promise
  return tail
}
