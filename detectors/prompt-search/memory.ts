import { z } from 'zod'
import { bytesText, textBytes } from './columns.ts'
import { Difference } from './difference.ts'
import { maxChunks, Sketch } from './sketch.ts'

/** Places, for each prompt remembered, of the table that says who last used a chunk. */
const placesEach = 32
/** Earlier prompts that are compared with a new one. */
const candidates = 3
const relatives = 6
/** A chunk is common once it went from one caller to another this often. */
const commonAt = 24

const MemoryJson = z
  .object({
    window: z.int().min(16).max(8_192),
    seq: z.int().min(0),
    principals: z.array(z.string()).max(8_192),
    events: z.array(z.string()).max(8_192),
    exacts: z.array(z.string()).max(8_192),
    clusters: z.array(z.int().min(0)).max(8_192),
    /** Base64 of the columns. */
    counts: z.string(),
    hashes: z.string(),
    lengths: z.string(),
    strange: z.string(),
    keys: z.string(),
    users: z.string(),
    spread: z.string(),
    tags: z.string(),
  })
  .refine(({ principals, events, exacts, clusters, seq, window }) => {
    return [principals, events, exacts, clusters].every((column) => column.length === Math.min(seq, window))
  }, 'columns of different lengths')
type MemoryJson = z.infer<typeof MemoryJson>

/**
 * The last prompts of one model, whoever sent them, in a ring; and for each chunk the prompt that had it last and how
 * many callers had it, so that what many share (templates, instructions) counts for little.
 */
export class Memory {
  readonly window: number
  /** Prompts remembered so far; the n-th (from 0) lies in slot n modulo the window. */
  seq = 0
  readonly principals: string[] = []
  readonly events: string[] = []
  readonly exacts: string[] = []
  /** The cluster of each, or 0. */
  readonly clusters: number[] = []
  readonly #counts: Uint8Array
  readonly #hashes: Uint32Array
  readonly #lengths: Uint8Array
  readonly #strange: Uint8Array
  readonly #keys: Uint32Array
  /** Sequence number plus one; 0 is nobody. */
  readonly #users: Uint32Array
  readonly #spread: Uint8Array
  readonly #tags: Uint8Array
  readonly #voted = new Uint32Array(maxChunks)
  readonly #votes = new Float64Array(maxChunks)
  #best = new Difference()
  #other = new Difference()

  constructor(window: number) {
    this.window = window
    this.#counts = new Uint8Array(window)
    this.#hashes = new Uint32Array(window * maxChunks)
    this.#lengths = new Uint8Array(window * maxChunks)
    this.#strange = new Uint8Array(window * maxChunks)
    const places = 2 ** Math.ceil(Math.log2(window * placesEach))
    this.#keys = new Uint32Array(places)
    this.#users = new Uint32Array(places)
    this.#spread = new Uint8Array(places)
    this.#tags = new Uint8Array(places)
  }

  /**
   * The earlier prompt that a new one differs least from, among those that used its rare and strange chunks last and
   * their relatives. `difference` is valid until the next call.
   */
  nearest(sketch: Sketch, membersOf: (cluster: number) => readonly number[]): { slot: number; difference: Difference } | undefined {
    const voters = this.#vote(sketch)
    let found = -1
    let least = Number.POSITIVE_INFINITY
    const consider = (slot: number) => {
      this.#other.compare(sketch, this.#hashes, this.#lengths, this.#strange, slot * maxChunks, this.#counts[slot] as number)
      const changed = this.#other.added + this.#other.removed + 8 * this.#other.sites - this.#other.kept
      if (changed >= least) return
      least = changed
      found = slot
      const held = this.#best
      this.#best = this.#other
      this.#other = held
    }
    for (let n = 0; n < candidates; n++) {
      let top = -1
      for (let v = 0; v < voters; v++)
        if ((this.#votes[v] as number) > 0 && (top < 0 || (this.#votes[v] as number) > (this.#votes[top] as number))) top = v
      if (top < 0) break
      this.#votes[top] = 0
      const slot = (this.#voted[top] as number) % this.window
      consider(slot)
      const cluster = this.clusters[slot] ?? 0
      if (n > 0 || cluster === 0) continue
      const members = membersOf(cluster)
      for (let m = Math.max(0, members.length - relatives); m < members.length; m++) {
        const member = members[m] as number
        if (member + this.window > this.seq && member % this.window !== slot) consider(member % this.window)
      }
    }
    if (found < 0) return undefined
    this.#measure(sketch, this.#best)
    this.#best.lose(sketch, this.#hashes, this.#lengths, found * maxChunks, this.#counts[found] as number)
    return { slot: found, difference: this.#best }
  }

  /** How many of the kept characters few callers wrote, and how many of the added ones nobody did. */
  #measure(sketch: Sketch, difference: Difference): void {
    difference.keptRare = 0
    difference.fresh = 0
    difference.freshRuns = 0
    difference.freshCount = 0
    difference.freshPlace = -1
    let first = -1
    let last = -1
    let bits = 0
    let before = 0
    let run = false
    for (let i = 0; i < sketch.count; i++) {
      const hash = sketch.hashes[i] as number
      const length = sketch.lengths[i] as number
      const place = (hash ^ (hash >>> 16)) & (this.#keys.length - 1)
      const known = this.#keys[place] === hash
      const fresh = !known && difference.matched[i] !== 1
      if (fresh) {
        if (!run) difference.freshRuns++
        if (first < 0) {
          first = i
          difference.freshPlace = before
        }
        last = i
        if (difference.freshCount < difference.freshHashes.length) difference.freshHashes[difference.freshCount++] = hash
        difference.fresh += length
        bits += length * (sketch.strange[i] as number)
      } else if (difference.matched[i] === 1 && (!known || (this.#spread[place] as number) < commonAt)) difference.keptRare += length
      run = fresh
      before += length
    }
    difference.locate(sketch, first, last)
    difference.freshExcess = difference.fresh === 0 ? 0 : (bits / difference.fresh - sketch.plain()) / 8
  }

  /** Each chunk votes for the prompt that had it last, by its information and how few callers had it. */
  #vote(sketch: Sketch): number {
    let voters = 0
    for (let i = 0; i < sketch.count; i++) {
      const hash = sketch.hashes[i] as number
      const place = (hash ^ (hash >>> 16)) & (this.#keys.length - 1)
      if (this.#keys[place] !== hash) continue
      const user = (this.#users[place] as number) - 1
      if (user < 0 || user + this.window <= this.seq) continue
      const weight = ((sketch.lengths[i] as number) * (8 + (sketch.strange[i] as number))) / (16 + (this.#spread[place] as number))
      let v = 0
      while (v < voters && this.#voted[v] !== user) v++
      if (v === voters) {
        this.#voted[v] = user
        this.#votes[v] = 0
        voters++
      }
      this.#votes[v] = (this.#votes[v] as number) + weight
    }
    return voters
  }

  /** The sequence number of what a slot holds now. */
  seqIn(slot: number): number {
    return this.seq - 1 - ((this.seq - 1 - slot) % this.window)
  }

  /** @returns its sequence number */
  add(sketch: Sketch, principal: string, event: string, exact: string, cluster: number): number {
    const seq = this.seq++
    const slot = seq % this.window
    this.principals[slot] = principal
    this.events[slot] = event
    this.exacts[slot] = exact
    this.clusters[slot] = cluster
    const base = slot * maxChunks
    this.#counts[slot] = sketch.count
    this.#hashes.set(sketch.hashes, base)
    this.#lengths.set(sketch.lengths, base)
    this.#strange.set(sketch.strange, base)
    const tag = tagOf(principal)
    for (let i = 0; i < sketch.count; i++) {
      const hash = sketch.hashes[i] as number
      const place = (hash ^ (hash >>> 16)) & (this.#keys.length - 1)
      if (this.#keys[place] !== hash) {
        this.#keys[place] = hash
        this.#spread[place] = 0
      } else if (this.#tags[place] !== tag && (this.#spread[place] as number) < 255)
        this.#spread[place] = (this.#spread[place] as number) + 1
      this.#tags[place] = tag
      this.#users[place] = seq + 1
    }
    return seq
  }

  toJSON(): MemoryJson {
    const size = Math.min(this.seq, this.window)
    return {
      window: this.window,
      seq: this.seq,
      principals: this.principals.slice(),
      events: this.events.slice(),
      exacts: this.exacts.slice(),
      clusters: this.clusters.slice(),
      counts: bytesText(this.#counts.subarray(0, size)),
      hashes: bytesText(this.#hashes.subarray(0, size * maxChunks)),
      lengths: bytesText(this.#lengths.subarray(0, size * maxChunks)),
      strange: bytesText(this.#strange.subarray(0, size * maxChunks)),
      keys: bytesText(this.#keys),
      users: bytesText(this.#users),
      spread: bytesText(this.#spread),
      tags: bytesText(this.#tags),
    }
  }

  static from(json: MemoryJson): Memory {
    const memory = new Memory(json.window)
    memory.seq = json.seq
    memory.principals.push(...json.principals)
    memory.events.push(...json.events)
    memory.exacts.push(...json.exacts)
    memory.clusters.push(...json.clusters)
    textBytes(json.counts, memory.#counts)
    textBytes(json.hashes, memory.#hashes)
    textBytes(json.lengths, memory.#lengths)
    textBytes(json.strange, memory.#strange)
    textBytes(json.keys, memory.#keys)
    textBytes(json.users, memory.#users)
    textBytes(json.spread, memory.#spread)
    textBytes(json.tags, memory.#tags)
    return memory
  }
}

/** In memory the class, in a snapshot its columns. */
export const MemoryState = z.union([z.instanceof(Memory), MemoryJson.transform((json) => Memory.from(json))])

/** One byte that tells most callers apart. */
function tagOf(principal: string): number {
  let hash = 0
  for (let i = 0; i < principal.length; i++) hash = Math.imul(hash ^ principal.charCodeAt(i), 0x9e3779b1)
  return (hash >>> 24) & 255
}
