/** How long an orderly stop may take before the process ends anyway; the logs and spools survive that. */
const stopMs = 20_000

/** A process that was begun by another ends with it: at once as long as it is not open, since then there is nothing to stop in order. */
let onOrphaned = (): void => process.exit(1)
process.once('disconnect', () => onOrphaned())

/** Waits for SIGTERM or SIGINT, stops in order, and ends the process: 0 where all went well. */
export async function stopOnSignal(stop: () => Promise<boolean>): Promise<never> {
  await new Promise<void>((resolve) => {
    onOrphaned = resolve
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve())
  })
  const timer = setTimeout(() => {
    console.error(`cordon: not stopped in order after ${stopMs / 1_000} s; ending anyway, nothing durable is lost`)
    process.exit(1)
  }, stopMs)
  const well = await stop()
  clearTimeout(timer)
  process.exit(well ? 0 : 1)
}
