import type { Consumer, ConsumerOptions } from '../port.ts'
import { share } from '../sharing.ts'
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

  /** The topic may have got partitions. */
  async grow(topic: string): Promise<void> {
    const reader = this.#members.find((member) => member.options.topics.includes(topic))
    if (reader !== undefined) await this.#rebalance(reader)
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

  #shares(): Map<Member, Set<Partition>> {
    const topics = [...new Set(this.#members.flatMap((member) => member.options.topics))]
    const dealt = share(
      this.#members.map((member, index) => ({
        id: String(index).padStart(6, '0'),
        topics: member.options.topics,
        together: member.options.together ?? false,
        owned: [...member.held.keys()].map(({ topic, number }) => ({ topic: topic.name, partition: number })),
        warm: member.options.warm?.() ?? [],
      })),
      new Map(topics.map((topic) => [topic, this.#partitionsOf(topic).length])),
    )
    return new Map(
      [...dealt.values()].flatMap((places, index) => {
        const member = this.#members[index]
        const partitions = places.flatMap(({ topic, partition }) => this.#partitionsOf(topic)[partition] ?? [])
        return member === undefined ? [] : [[member, new Set(partitions)] as const]
      }),
    )
  }
}

function revoke(holder: Member, wanted: ReadonlySet<Partition>): Promise<void>[] {
  return [...holder.held].flatMap(([partition, assignment]) => {
    if (wanted.has(partition)) return []
    holder.held.delete(partition)
    return [assignment.stop()]
  })
}
