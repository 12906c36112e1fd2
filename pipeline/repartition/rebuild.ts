import { encode, newEvent } from '../../bus/codec.ts'
import type { BusRecord, OutgoingRecord, PartitionState } from '../../bus/port.ts'
import { letterOf } from '../../ingest/unreadable.ts'
import type { Finding } from '../../schemas/index.ts'
import { findingEventId } from '../host/finding-id.ts'
import { readInput } from '../host/input.ts'
import { forgotten } from '../host/lane/forgotten.ts'
import type { RestoreSite } from '../host/lane/hosting.ts'
import { limitsOf } from '../host/limits.ts'
import { createPartitionHost } from '../host/partition/partition.ts'
import type { HostInput, PartitionHost } from '../host/partition/partition-host.ts'
import type { SnapshotCut } from '../host/snapshot/cut.ts'
import { SnapshotHead } from '../host/snapshot/snapshot.ts'
import { otherSlot } from '../host/snapshot/snapshot-log.ts'
import { gather, type Origin, openGaps } from './destination.ts'
import { type Growth, homeOf, originsOf } from './homes.ts'
import { Lateness, stateUnseenIn } from './lateness.ts'
import { merged } from './merged.ts'
import type { Snapshots } from './snapshots.ts'

/** Records that wait to be published; with more they go out. */
const mostOwed = 500

export interface Rebuilding extends RestoreSite {
  readonly topic: string
  readonly growth: Growth
  /** By old partition. */
  readonly origins: readonly Origin[]
  /** Every partition as it is once all senders go by the new number. */
  readonly states: readonly PartitionState[]
  /** What came of records before is durable, by partition. */
  readonly committed: ReadonlyMap<number, number>
  readonly snapshots: Snapshots
}

export interface Rebuilt {
  readonly keysMoved: number
  readonly entries: number
  readonly findings: number
}

/**
 * Gives every partition of a topic that has grown the state of its keys. One partition after another, so that it takes the
 * memory of one: its keys' states as the old snapshots have them, then what has been written since, from wherever it was
 * written to, in the log's order.
 *
 * The new partitions come first and partition 0 last: as long as an old one has no new snapshot, no host begins (see
 * `checkLayout`), and this may begin again.
 *
 * @throws BusError of the bus, HostError
 */
export async function rebuild(what: Rebuilding, onBuilt: (partition: number) => void): Promise<Rebuilt> {
  const work = new Rebuild(what)
  for (let partition = what.growth.to - 1; partition >= 0; partition--) {
    await work.build(partition)
    onBuilt(partition)
  }
  return work.rebuilt
}

class Rebuild {
  readonly #what: Rebuilding
  readonly #lateness: Lateness
  #owed: OutgoingRecord[] = []
  #keysMoved = 0
  #entries = 0
  #findings = 0

  constructor(what: Rebuilding) {
    this.#what = what
    this.#lateness = new Lateness(what.context.objectiveMs)
  }

  get rebuilt(): Rebuilt {
    return { keysMoved: this.#keysMoved, entries: this.#entries, findings: this.#findings }
  }

  async build(partition: number): Promise<void> {
    const { topic, growth, origins, states, hosting, context, snapshots } = this.#what
    const blank = snapshots.blank(topic, partition)
    const host = this.#newHost(partition)
    const { lines, entries, moved } = await gather(blank, growth, origins, hosting.detectors)
    if (lines !== null) await host.restore([lines])
    const own = origins[partition] ?? null
    if (own !== null) for (const gap of openGaps(own.head, growth)) this.#owe(gap)
    if (own === null && partition < growth.from) await this.#oweForgotten(partition)
    await this.#oweHole(partition)
    for await (const record of merged(this.#streams(partition))) {
      if (homeOf(record, growth).home !== partition) continue
      this.#apply(host, record)
      if (this.#owed.length >= mostOwed) await this.#pay()
    }
    if (partition === 0) for (const gap of this.#lateness.state(topic, growth)) this.#owe(gap)
    await this.#pay()
    const offset = states.find((state) => state.partition === partition)?.end ?? 0
    const slot = otherSlot(own?.stored.slot ?? (await context.snapshots.find(topic, partition))[0]?.slot ?? null)
    await context.snapshots.write({ topic, partition, partitions: growth.to, slot, offset }, standingAt(host.cut(), offset))
    this.#entries += entries
    this.#keysMoved += moved
  }

  /** An old partition has no state that can be used: what its detectors knew of records that are gone is, too. */
  async #oweForgotten(partition: number): Promise<void> {
    const { topic, growth, states, committed, context } = this.#what
    const { start = 0 } = states[partition] ?? {}
    const refused = (await context.snapshots.find(topic, partition)).filter(({ partitions }) => partitions === growth.from)
    const known = { start, committed: committed.get(partition) ?? 0 }
    const gap = await forgotten({ topic, partition }, { next: 0, watermark: null }, refused, known, this.#what)
    if (gap !== null) this.#owe(stateUnseenIn({ topic, partition }, growth, gap))
  }

  /** Retention overtook what nobody had applied. */
  async #oweHole(partition: number): Promise<void> {
    const { topic, growth, origins, states, committed, bounds } = this.#what
    const { start = 0 } = states[partition] ?? {}
    const head = origins[partition]?.head
    const applied = Math.max(head?.next ?? 0, committed.get(partition) ?? 0)
    if (applied >= start) return
    const until = await bounds.firstTime({ topic, partition }, start)
    const from = Math.min(head?.watermark.at ?? 0, until)
    const gap = { kind: 'retention', firstOffset: applied, lastOffset: start - 1, from, until, worstMs: null } as const
    this.#owe(stateUnseenIn({ topic, partition }, growth, gap))
  }

  #newHost(partition: number): PartitionHost {
    const { topic, growth, hosting } = this.#what
    const onFault = (detector: string, _key: string | null, error: unknown) => hosting.onFault(detector, error)
    const onUnapplied = (offset: number, error: unknown) => hosting.onUnapplied({ topic, partition, offset }, error)
    return createPartitionHost(hosting.detectors, { ...limitsOf(hosting), topic, partition, partitions: growth.to, onFault, onUnapplied })
  }

  /** What was written since the old snapshots, wherever the partition's keys may have been written to. */
  #streams(partition: number): AsyncIterable<readonly BusRecord[]>[] {
    const { topic, growth, origins, states, context } = this.#what
    const places = new Set([...originsOf(partition, growth), partition])
    return states
      .filter((state) => places.has(state.partition))
      .map((state) => ({ ...state, from: Math.max(origins[state.partition]?.head.next ?? 0, state.start) }))
      .filter(({ from, end }) => from < end)
      .map((state) => context.bus.read(topic, state.partition, state.from, state.end))
  }

  #apply(host: PartitionHost, record: BusRecord): void {
    const { context, committed } = this.#what
    const now = context.clock()
    const quiet = record.offset < (committed.get(record.partition) ?? 0)
    if (!quiet) this.#lateness.note(record, now)
    let input: HostInput
    try {
      input = readInput(record)
    } catch (error) {
      if (!quiet) this.#owed.push(letterOf(record, error, now, context.group))
      return
    }
    // It may have come from elsewhere: the host counts on, and the snapshot says where it really stands.
    const findings = host.apply(input, host.next)
    if (!quiet) for (const finding of findings) this.#owe(finding)
  }

  #owe(finding: Finding): void {
    const { log, source } = this.#what.context
    try {
      this.#owed.push(encode('findings', newEvent('finding', finding, source, finding.time, findingEventId(finding))))
      this.#findings += 1
    } catch (error) {
      log.error({ err: error, detector: finding.detector, finding: finding.id }, 'a finding could not be encoded, and is lost')
    }
  }

  async #pay(): Promise<void> {
    if (this.#owed.length === 0) return
    await this.#what.context.bus.publish(this.#owed)
    this.#owed = []
  }
}

/** The text of a snapshot whose host counted on by itself, as of one that stands at `offset`. */
function* standingAt(cut: SnapshotCut, offset: number): Generator<string> {
  const text = cut.read(0) ?? ''
  const end = text.indexOf('\n')
  const head = SnapshotHead.parse(JSON.parse(text.slice(0, end)))
  const gaps = head.gaps.map((gap) => ({
    ...gap,
    firstOffset: Math.min(gap.firstOffset, offset),
    lastOffset: Math.min(gap.lastOffset, offset),
  }))
  yield JSON.stringify({ ...head, next: offset, gaps }) + text.slice(end)
  for (let more = cut.read(20); more !== null; more = cut.read(20)) yield more
}
