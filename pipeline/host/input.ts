import { decode } from '../../bus/codec.ts'
import type { BusRecord } from '../../bus/port.ts'
import { Instant, type ObservationKind, sentHeader, type TopicName, topics } from '../../schemas/index.ts'
import { HostError } from './errors.ts'
import type { HostedDetector } from './hosted.ts'
import type { HostInput } from './partition/partition-host.ts'

/** @throws BusError, or HostError `UNEXPECTED_KIND`: dead-letter the record and go on */
export function readInput(record: BusRecord): HostInput {
  const event = decode(record)
  switch (event.kind) {
    case 'request':
    case 'fingerprint':
    case 'prompt':
    case 'telemetry':
    case 'flow':
    case 'tick':
      return { ...event, stamp: { appendedAt: record.timestamp, sentAt: sentAt(record) } }
    default:
      throw new HostError(
        'UNEXPECTED_KIND',
        `record ${record.topic}/${record.partition}@${record.offset}: a ${event.kind} on a topic of observations`,
      )
  }
}

/** Null where the sender does not say, or says nonsense: its times are then bounded by the log's clock alone. */
function sentAt({ headers }: BusRecord): Instant | null {
  const text = Object.hasOwn(headers, sentHeader) ? headers[sentHeader] : undefined
  if (text === undefined || !/^\d{1,16}$/.test(text)) return null
  const sent = Instant.safeParse(Number(text))
  return sent.success ? sent.data : null
}

const topicOf: Readonly<Record<ObservationKind, TopicName>> = {
  request: 'requests',
  fingerprint: 'fingerprints',
  prompt: 'prompts',
  telemetry: 'telemetry',
  flow: 'flows',
}

/** The topics that a detector may observe. */
export const observableTopics: readonly string[] = Object.values(topicOf)

/** The topics that carry what these detectors observe. */
export function topicsObserved(detectors: readonly HostedDetector[]): readonly string[] {
  const kinds = new Set(detectors.flatMap(({ definition }) => definition.observes))
  return [...kinds].map((kind) => topics[topicOf[kind]].name).sort()
}
