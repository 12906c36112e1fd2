import type { FindingDraft } from '../../detectors/contract.ts'
import { scoreOf } from '../../detectors/near-duplicate-probing/cluster.ts'
import { nearDuplicateProbing } from '../../detectors/near-duplicate-probing/near-duplicate-probing.ts'
import { strideOf } from '../../detectors/near-duplicate-probing/stride.ts'
import type { Fingerprint } from '../../inference/port.ts'
import { type EventOf, plainCaller, uuidv7 } from '../../schemas/index.ts'

const epoch = Date.UTC(2026, 0, 1)

/** Feeds fingerprints to one near-duplicate detector as the host does, on a clock of its own. */
export class Driver {
  readonly #logic = nearDuplicateProbing.start(nearDuplicateProbing.params.parse({}))
  #state = this.#logic.initial(epoch)
  #events = 0
  /** Milliseconds between events. */
  readonly #pace: number

  constructor(pace = 200) {
    this.#pace = pace
  }

  feed(principal: string, fingerprint: Fingerprint): readonly FindingDraft[] {
    const event = this.event(principal, fingerprint)
    const step = this.#logic.onEvent(this.#state, event)
    if (step?.state) this.#state = step.state
    return step?.findings ?? []
  }

  event(principal: string, fingerprint: Fingerprint): EventOf<'fingerprint'> {
    const count = ++this.#events
    const time = epoch + count * this.#pace
    const id = idOf(time, count)
    const about = { request: id, index: 0, principal, organization: null, keyId: null, model: 'digits', version: '1', node: 'lab' }
    return { kind: 'fingerprint', id, time, source: 'lab', data: { ...about, ...plainCaller, ...fingerprint } }
  }

  /** The evidence of the cluster that scores highest now. */
  leading(): { score: number; evidence: Readonly<Record<string, number>> } {
    let best = { score: 0, evidence: {} }
    for (const cluster of this.#state.clusters) {
      const score = scoreOf(cluster)
      if (score > best.score) best = { score, evidence: { ...cluster.evidence } }
    }
    return best
  }

  /** Of each cluster, one in how many members is weighed. */
  strides(): readonly number[] {
    return this.#state.clusters.map(strideOf)
  }

  /** The state as a host stores it. */
  snapshot(): string {
    return JSON.stringify({ state: this.#state, events: this.#events })
  }

  restore(text: string): this {
    const { state, events } = JSON.parse(text) as { state: unknown; events: number }
    this.#state = nearDuplicateProbing.state.parse(state)
    this.#events = events
    return this
  }
}

function idOf(time: number, count: number): string {
  const bytes = new Uint8Array(10)
  new DataView(bytes.buffer).setUint32(4, count)
  return uuidv7(time, bytes)
}
