import type { Consumer, ConsumerOptions } from '../port.ts'
import { Assignment, type GroupOffsets } from './assignment.ts'
import type { Partition } from './partition.ts'

interface Member {
  readonly options: ConsumerOptions
  readonly held: Map<Partition, Assignment>
}

/** A consumer group inside this process: its members share out the partitions of the topics that they read. */
export class Group {
  readonly #offsets: GroupOffsets
  readonly #partitionsOf: (topic: string) => readonly Partition[]
  readonly #members: Member[] = []
  #last: Promise<void> = Promise.resolve()

  constructor(offsets: GroupOffsets, partitionsOf: (topic: string) => readonly Partition[]) {
    this.#offsets = offsets
    this.#partitionsOf = partitionsOf
  }

  get isEmpty(): boolean {
    return this.#members.length === 0
  }

  /** Resolves when the member has its share. */
  async join(options: ConsumerOptions): Promise<Consumer> {
    const member: Member = { options, held: new Map() }
    this.#members.push(member)
    await this.#rebalance(member)
    let closing: Promise<void> | undefined
    return {
      close: () => {
        closing ??= this.#leave(member)
        return closing
      },
    }
  }

  async #leave(member: Member): Promise<void> {
    this.#members.splice(this.#members.indexOf(member), 1)
    await this.#rebalance(member)
  }

  /** One at a time; resolves when `member` holds what it is to hold. */
  async #rebalance(member: Member): Promise<void> {
    let ready: Promise<unknown> = Promise.resolve()
    this.#last = this.#last.then(async () => {
      const wanted = this.#shares()
      const leaving = this.#members.includes(member) ? this.#members : [...this.#members, member]
      // Nobody is given a partition before the one who had it is done with it.
      await Promise.all(leaving.flatMap((holder) => revoke(holder, wanted.get(holder) ?? new Set())))
      const started = [...wanted].flatMap(([holder, partitions]) => this.#assign(holder, partitions))
      ready = Promise.all(started)
    })
    await this.#last
    await ready
  }

  #assign(holder: Member, partitions: ReadonlySet<Partition>): Promise<void>[] {
    return [...partitions].flatMap((partition) => {
      if (holder.held.has(partition)) return []
      const assignment = new Assignment(partition, holder.options, this.#offsets)
      holder.held.set(partition, assignment)
      return [assignment.start()]
    })
  }

  /** Even shares of each topic that leave a partition where it is as far as they can. */
  #shares(): Map<Member, Set<Partition>> {
    const shares = new Map<Member, Set<Partition>>(this.#members.map((member) => [member, new Set()]))
    for (const topic of new Set(this.#members.flatMap((member) => member.options.topics))) {
      const readers = this.#members.filter((member) => member.options.topics.includes(topic))
      const partitions = this.#partitionsOf(topic)
      const least = Math.floor(partitions.length / readers.length)
      let larger = partitions.length % readers.length
      const taken = new Map<Member, number>()
      const homeless: Partition[] = []
      for (const partition of partitions) {
        const holder = readers.find((reader) => reader.held.has(partition))
        const count = holder === undefined ? 0 : (taken.get(holder) ?? 0)
        if (holder === undefined || count > least || (count === least && larger === 0)) {
          homeless.push(partition)
          continue
        }
        if (count === least) larger--
        taken.set(holder, count + 1)
        shares.get(holder)?.add(partition)
      }
      for (const partition of homeless) {
        const fewest = readers.toSorted((a, b) => (taken.get(a) ?? 0) - (taken.get(b) ?? 0))[0]
        if (fewest === undefined) break
        taken.set(fewest, (taken.get(fewest) ?? 0) + 1)
        shares.get(fewest)?.add(partition)
      }
    }
    return shares
  }
}

function revoke(holder: Member, wanted: ReadonlySet<Partition>): Promise<void>[] {
  return [...holder.held].flatMap(([partition, assignment]) => {
    if (wanted.has(partition)) return []
    holder.held.delete(partition)
    return [assignment.stop()]
  })
}
