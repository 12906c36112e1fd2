import { setTimeout as delay } from 'node:timers/promises'

/** Waits until `condition` holds, looking every few milliseconds; fails after `deadlineMs`. */
export async function until(what: string, condition: () => boolean | Promise<boolean>, deadlineMs = 10_000): Promise<void> {
  const deadline = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${deadlineMs} ms for ${what}`)
    await delay(2)
  }
}
