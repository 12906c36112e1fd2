import { CordonError, type DeadLetter, type Instant } from '../schemas/index.ts'
import { encode, newEvent } from './codec.ts'
import type { BusRecord, EventBus } from './port.ts'

const keptBytes = 8_192
const keptHeaders = 32

/**
 * Puts a record that cannot be used on `dead-letters`, with why. Resolves when that is durable, so that a consumer may
 * commit past the record afterwards.
 *
 * @param now the time of the dead letter, milliseconds
 * @param source the role that gave up on it
 */
export async function publishDeadLetter(bus: EventBus, record: BusRecord, error: unknown, now: Instant, source: string): Promise<void> {
  await bus.publish([encode('dead-letters', newEvent('dead-letter', deadLetterOf(record, error, now), source, now))])
}

/** What is kept of a record: bounded, and safe to print. */
export function deadLetterOf(record: BusRecord, error: unknown, now: Instant): DeadLetter {
  const headers = Object.entries(record.headers).slice(0, keptHeaders)
  return {
    topic: printable(record.topic, 128),
    partition: record.partition,
    offset: record.offset,
    code: error instanceof CordonError ? error.code : 'UNEXPECTED',
    reason: printable(error instanceof Error ? error.message : String(error), 2_000),
    key: record.key === null ? null : printable(record.key, 512),
    headers: Object.fromEntries(headers.map(([name, value]) => [printable(name, 128), printable(value, 1_024)])),
    value: record.value === null ? '' : Buffer.from(record.value.subarray(0, keptBytes)).toString('base64'),
    size: record.value?.length ?? 0,
    at: now,
  }
}

/**
 * Text from outside, for a terminal or a page: control characters (which move cursors), separators and bidirectional
 * marks (which reorder what an analyst reads) are shown as `\u{…}`, and lone surrogates replaced.
 */
function printable(text: string, length: number): string {
  return text
    .slice(0, length)
    .replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
    .slice(0, length)
    .toWellFormed()
}
