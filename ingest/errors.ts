import { CordonError } from '../schemas/index.ts'

export type IngestErrorCode = 'UNSUPPORTED_MEDIA_TYPE' | 'MALFORMED_BODY' | 'TOO_MANY_EVENTS' | 'BUS_AWAY'

/** What a sender is told. */
export class IngestError extends CordonError<IngestErrorCode> {
  readonly statusCode: number

  constructor(code: IngestErrorCode, message: string, options?: { cause?: unknown }) {
    super(code, message, options)
    this.statusCode = statuses[code]
  }
}

const statuses: Readonly<Record<IngestErrorCode, number>> = {
  UNSUPPORTED_MEDIA_TYPE: 415,
  MALFORMED_BODY: 400,
  TOO_MANY_EVENTS: 413,
  BUS_AWAY: 503,
}
