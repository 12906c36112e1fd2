/** Local wall time of an instant, to the second. */
export function clock(instant: number): string {
  return new Date(instant).toLocaleTimeString(undefined, { hour12: false })
}

export function span(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`
  return `${(ms / 3_600_000).toFixed(1)} h`
}

export function percent(share: number): string {
  return share > 0.999 ? '> 99.9 %' : `${(share * 100).toFixed(1)} %`
}
