import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Instant } from '../../../schemas/index.ts'
import type { HostContext } from '../context.ts'
import type { Applier } from '../lane/applier.ts'
import type { SnapshotCut } from './cut.ts'
import { otherSlot, type SnapshotSlot } from './snapshot-log.ts'

/** Longest stretch of serialising before the event loop gets its turn, milliseconds. */
const sliceMs = 2
/** A snapshot that took so much work, milliseconds, even in vain, is followed by at least `restShare` times as long without one. */
const dearMs = 50
const restShare = 20

/** Keeps a partition's snapshots recent, in the background. */
export class SnapshotKeeper {
  /** Where the newest durable snapshot stands, and when it was begun; the assignment until there is one. */
  saved: { offset: number; at: Instant }
  readonly #work: Applier
  readonly #context: HostContext
  #slot: SnapshotSlot | null | undefined
  #cut: SnapshotCut | null = null
  #saving: Promise<void> | null = null
  #stopped = false
  #restUntil = 0

  constructor(work: Applier, context: HostContext) {
    this.#work = work
    this.#context = context
    this.saved = { offset: work.host.next, at: context.clock() }
  }

  get due(): boolean {
    const { clock, snapshotEvery } = this.#context
    const applied = this.#work.host.next - this.saved.offset
    if (applied <= 0 || this.#saving !== null || performance.now() < this.#restUntil) return false
    return applied >= snapshotEvery.events || clock() - this.saved.at >= snapshotEvery.ms
  }

  /**
   * Cuts now and writes in the background.
   *
   * @param mayWrite whether the partition is still ours for certain
   */
  begin(mayWrite: () => boolean): void {
    const cut = this.#work.host.cut()
    this.#cut = cut
    const at = this.#context.clock()
    const { topic, partition } = this.#work
    this.#saving = this.#save(cut, at, mayWrite)
      .catch((error: unknown) => {
        this.#context.log.warn({ err: error, topic, partition }, 'a snapshot could not be written; the one before stands')
      })
      .finally(() => {
        this.#cut = null
        this.#saving = null
      })
  }

  /** Gives up what is under way, and writes no more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#cut?.cancel()
    await this.#saving
  }

  /** One more where something has changed; when it resolves it is durable. */
  async last(mayWrite: () => boolean): Promise<void> {
    await this.#saving
    if (this.#stopped || this.#work.host.next <= this.saved.offset) return
    this.begin(mayWrite)
    await this.#saving
  }

  async #save(cut: SnapshotCut, at: Instant, mayWrite: () => boolean): Promise<void> {
    const { metrics, snapshots } = this.#context
    const { topic, partition, partitions } = this.#work
    // Whoever had the partition before may have written to either slot; from now on only we do.
    if (this.#slot === undefined) this.#slot = (await snapshots.find(topic, partition))[0]?.slot ?? null
    const slot = otherSlot(this.#slot)
    const timer = { workMs: 0 }
    const place = { topic, partition, partitions, slot, offset: cut.offset }
    const bytes = await snapshots
      .write(place, inSlices(cut, timer), () => !this.#stopped && mayWrite())
      .finally(() => {
        if (timer.workMs >= dearMs) this.#restUntil = performance.now() + restShare * timer.workMs
      })
    if (bytes === null) return
    this.#slot = slot
    this.saved = { offset: cut.offset, at }
    metrics.snapshotBytes.set({ topic, partition: String(partition) }, bytes)
    metrics.snapshotSeconds.observe(timer.workMs / 1_000)
  }
}

async function* inSlices(cut: SnapshotCut, timer: { workMs: number }): AsyncGenerator<string> {
  for (;;) {
    const from = performance.now()
    const text = cut.read(sliceMs)
    timer.workMs += performance.now() - from
    if (text === null) return
    yield text
    await nextTurn()
  }
}
