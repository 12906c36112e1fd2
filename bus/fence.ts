import { type Term, type TopicName, termHeader, termKey, topics } from '../schemas/index.ts'
import { decode, encodeTerm, newEvent } from './codec.ts'
import type { BusRecord, OutgoingRecord } from './port.ts'

/** What a record of a fenced topic is: a term's beginning, what counts, or the word of a writer that was replaced before. */
export type Verdict = 'term' | 'counts' | 'fenced'

/** Before every term: what has none is of this one, so that logs from before there were terms read as they always did. */
const noTerm = -1

/**
 * Tells the records that count from those of writers that were replaced, see {@link Term}. Feed it one partition, in
 * order.
 */
export class Fence {
  readonly #shared: boolean
  #newest = noTerm

  /** @param topic one where others write too, such as `outcomes`, has records without a term that always count */
  constructor(topic: TopicName) {
    const { fenced = false }: { readonly fenced?: boolean } = topics[topic]
    this.#shared = !fenced
  }

  /** The newest term seen; -1 before the first. */
  get newest(): number {
    return this.#newest
  }

  judge(record: BusRecord): Verdict {
    if (record.key === termKey) {
      this.#raise(beginningOf(record))
      return 'term'
    }
    const term = termOf(record)
    if (term === noTerm && this.#shared) return 'counts'
    if (term < this.#newest) return 'fenced'
    // The record that began the term may be gone by retention: who writes under it has begun it everywhere.
    this.#raise(term)
    return 'counts'
  }

  #raise(term: number): void {
    this.#newest = Math.max(this.#newest, term)
  }
}

/** The record that begins a term on a topic. */
export function beginTerm(topic: TopicName, term: Term, source: string): OutgoingRecord {
  return encodeTerm(topic, newEvent('term', term, source, term.at))
}

/** A record under its writer's term. */
export function underTerm(record: OutgoingRecord, term: number): OutgoingRecord {
  return { ...record, headers: { ...record.headers, [termHeader]: String(term) } }
}

function termOf({ headers }: BusRecord): number {
  const text = Object.hasOwn(headers, termHeader) ? headers[termHeader] : undefined
  return text !== undefined && /^\d{1,15}$/.test(text) ? Number(text) : noTerm
}

/** What cannot be read as a term begins none. */
function beginningOf(record: BusRecord): number {
  try {
    const event = decode(record)
    return event.kind === 'term' ? (event.data.number ?? record.offset) : noTerm
  } catch {
    return noTerm
  }
}
