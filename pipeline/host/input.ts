import { decode } from '../../bus/codec.ts'
import type { BusRecord } from '../../bus/port.ts'
import { type ObservationKind, type TopicName, topics } from '../../schemas/index.ts'
import { HostError } from './errors.ts'
import type { HostedDetector } from './hosted.ts'
import type { HostInput } from './partition-host.ts'

/** @throws BusError, or HostError `UNEXPECTED_KIND`: dead-letter the record and go on */
export function readInput(record: BusRecord): HostInput {
  const event = decode(record)
  switch (event.kind) {
    case 'request':
    case 'fingerprint':
    case 'telemetry':
    case 'flow':
    case 'tick':
      return event
    default:
      throw new HostError(
        'UNEXPECTED_KIND',
        `record ${record.topic}/${record.partition}@${record.offset}: a ${event.kind} on a topic of observations`,
      )
  }
}

const topicOf: Readonly<Record<ObservationKind, TopicName>> = {
  request: 'requests',
  fingerprint: 'fingerprints',
  telemetry: 'telemetry',
  flow: 'flows',
}

/** The topics that carry what these detectors observe. */
export function topicsObserved(detectors: readonly HostedDetector[]): readonly string[] {
  const kinds = new Set(detectors.flatMap(({ definition }) => definition.observes))
  return [...kinds].map((kind) => topics[topicOf[kind]].name).sort()
}
