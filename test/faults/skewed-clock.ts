// Loaded before everything else in a process whose clock is to be wrong: node --import. What measures durations
// (performance.now) stays right, as on a machine whose clock was set wrong.
const aheadMs = Number(process.env.CLOCK_AHEAD_MS ?? 0)
const now = Date.now
const RealDate = Date
globalThis.Date = class extends RealDate {
  constructor(...args: unknown[]) {
    super(...((args.length === 0 ? [now() + aheadMs] : args) as [number]))
  }
  static override now(): number {
    return now() + aheadMs
  }
} as DateConstructor
