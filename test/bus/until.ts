import { setTimeout as delay } from 'node:timers/promises'

/** Polls until `done` holds; fails with `what` after the deadline. For signals that a real component gives no other way. */
export async function until(what: string, done: () => boolean | Promise<boolean>, deadlineMs = 20_000): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await done())) {
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms for: ${what}`)
    await delay(5)
  }
}
