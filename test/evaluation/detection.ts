import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { PartitionHost } from '../../pipeline/host/partition/partition-host.ts'
import type { Finding, Instant, Observation } from '../../schemas/index.ts'

/** The detectors as the detector host runs them, one partition a topic, in virtual time; no log, no snapshots. */
export class Detection {
  readonly #hosts = new Map<Observation['kind'], PartitionHost>()
  readonly #faults: string[] = []

  constructor(detectors: readonly HostedDetector[]) {
    for (const kind of new Set(detectors.flatMap(({ definition }) => definition.observes))) {
      const onFault = (detector: string, key: string | null, error: unknown) => {
        if (this.#faults.length < 100) this.#faults.push(`${detector} (${key}): ${String(error)}`)
      }
      const onUnapplied = (offset: number, error: unknown) => {
        if (this.#faults.length < 100) this.#faults.push(`the host, at ${offset} of ${kind}: ${String(error)}`)
      }
      const own = detectors.filter(({ definition }) => definition.observes.includes(kind))
      this.#hosts.set(kind, createPartitionHost(own, { topic: kind, partition: 0, onFault, onUnapplied }))
    }
  }

  /** Whether any detector reads such events; what nobody reads need not be made. */
  reads(kind: Observation['kind']): boolean {
    return this.#hosts.has(kind)
  }

  observe(event: Observation): readonly Finding[] {
    const host = this.#hosts.get(event.kind)
    if (host === undefined) return []
    // The log took it a moment later, by a clock that agrees: event time may go as far as it says, days included.
    const appendedAt = event.time + 1
    return host.apply({ ...event, stamp: { appendedAt, sentAt: appendedAt } }, host.next)
  }

  /** The earliest instant at which a detector asked to be woken. */
  get nextWake(): Instant | null {
    let next: Instant | null = null
    for (const { nextWake } of this.#hosts.values()) if (nextWake !== null) next = Math.min(next ?? nextWake, nextWake)
    return next
  }

  /** Event time reaches `now` on every topic, as ticks make it; fires what asked to be woken. */
  reach(now: Instant): readonly Finding[] {
    const findings: Finding[] = []
    for (const host of this.#hosts.values()) {
      if ((host.nextWake ?? Number.POSITIVE_INFINITY) <= now) findings.push(...host.tick(now))
    }
    return findings
  }

  /** What detectors threw, the first hundred: an evaluation with faults says nothing. */
  get faults(): readonly string[] {
    return this.#faults
  }

  /** State keys held, by detector. */
  keys(): Readonly<Record<string, number>> {
    return Object.assign({}, ...[...this.#hosts.values()].map((host) => host.keys()))
  }
}
