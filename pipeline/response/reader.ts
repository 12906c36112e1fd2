import type { Logger } from 'pino'
import { decode } from '../../bus/codec.ts'
import { publishDeadLetter } from '../../bus/dead-letter.ts'
import type { BusRecord, EventBus } from '../../bus/port.ts'
import { CordonError, type Finding, type Instant } from '../../schemas/index.ts'

export interface ReaderOptions {
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly source: string
  readonly log: Logger
}

/** The finding in a record; null where it is none, and then a dead letter says why. */
export async function readFinding(record: BusRecord, { bus, clock, source, log }: ReaderOptions): Promise<Finding | null> {
  try {
    const event = decode(record)
    if (event.kind === 'finding') return event.data
    throw new CordonError('UNKNOWN_TYPE', `The topic findings holds a ${event.kind}.`)
  } catch (error) {
    if (!(error instanceof CordonError)) throw error
    log.warn({ code: error.code, offset: record.offset }, 'a finding could not be read and is a dead letter now')
    await publishDeadLetter(bus, record, error, clock(), source)
    return null
  }
}
