/** What findings depend on besides the records, the detectors and their parameters. */
export interface Limits {
  /** An event older than the watermark by more than this is late. Default 60,000 ms. */
  readonly latenessMs: number
  /** How far a single event may move event time. Default 3,600,000 ms; see `Watermark`. */
  readonly aheadMs: number
  /** Event ids remembered, to drop repetitions. Default 8,192. */
  readonly rememberIds: number
  /** How far a sender's clock may be off before its times are corrected. Default 5,000 ms; see `judgeTime`. */
  readonly skewMs: number
}

export function limitsOf({ latenessMs = 60_000, aheadMs = 3_600_000, rememberIds = 8_192, skewMs = 5_000 }: Partial<Limits>): Limits {
  return { latenessMs, aheadMs, rememberIds, skewMs }
}
