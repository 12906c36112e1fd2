/** A partition of a topic. */
export interface Place {
  readonly topic: string
  readonly partition: number
}

/** What a member of a group says when partitions are shared out. */
export interface Sharer {
  readonly id: string
  readonly topics: readonly string[]
  readonly together: boolean
  readonly owned: readonly Place[]
  /** What it could take over at once. */
  readonly warm: readonly Place[]
}

/** Places that go to one member as one, and those who may have them. */
interface Pot {
  readonly readers: readonly Sharer[]
  readonly units: readonly (readonly Place[])[]
  /** Members who get one unit more than the others, where the units do not divide evenly. */
  readonly larger: Set<Sharer>
}

/**
 * Shares partitions out: evenly in each topic (or, together, in each set of topics, where equal numbers stay with one
 * member); then what has an owner stays with it as far as that allows; then the rest goes to members that are warm
 * for it; then to those with the fewest. When a member leaves, nothing moves between those who stay, even where one of
 * them then has more in all than another: whoever comes next takes that off it. The same input gives the same shares.
 *
 * @param counts partitions by topic
 * @returns places by the member's id
 */
export function share(sharers: readonly Sharer[], counts: ReadonlyMap<string, number>): Map<string, Place[]> {
  const members = sharers.toSorted((a, b) => compare(a.id, b.id))
  const shares = new Map<string, Place[]>(members.map(({ id }) => [id, []]))
  const pots = potsOf(members, counts)
  giveExtras(pots)
  for (const pot of pots) for (const [sharer, places] of deal(pot)) shares.get(sharer.id)?.push(...places)
  return shares
}

export function placeKey({ topic, partition }: Place): string {
  return `${topic}/${partition}`
}

function potsOf(members: readonly Sharer[], counts: ReadonlyMap<string, number>): Pot[] {
  const together = members.some((member) => member.together)
  const topics = [...counts].filter(([topic]) => members.some((member) => member.topics.includes(topic))).sort(([a], [b]) => compare(a, b))
  const readersOf = (topic: string): Sharer[] => members.filter((member) => member.topics.includes(topic))
  // Only topics that the same members read can go together.
  const groups = Map.groupBy(topics, ([topic]) => (together ? JSON.stringify(readersOf(topic).map(({ id }) => id)) : topic))
  return [...groups.values()].map((group) => ({
    readers: readersOf(group[0]?.[0] ?? ''),
    units: Array.from({ length: Math.max(...group.map(([, count]) => count)) }, (_, partition) =>
      group.filter(([, count]) => partition < count).map(([topic]) => ({ topic, partition })),
    ),
    larger: new Set<Sharer>(),
  }))
}

/** Who gets the units that do not divide evenly: who has them already, then who has the fewest such. */
function giveExtras(pots: readonly Pot[]): void {
  const had = new Map<Sharer, number>()
  const give = (pot: Pot, reader: Sharer): void => {
    pot.larger.add(reader)
    had.set(reader, (had.get(reader) ?? 0) + 1)
  }
  const extrasOf = ({ units, readers }: Pot): number => units.length % readers.length
  // Over all topics extras are made even for those who come: when one leaves, the others go on with what they have.
  const most = (readers: readonly Sharer[]): number => {
    const alike = pots.filter((pot) => pot.readers.length === readers.length && pot.readers.every((reader) => readers.includes(reader)))
    if (readers.every((reader) => alike.some(({ units }) => units.some((unit) => countIn(reader.owned, unit) > 0)))) return Infinity
    return Math.ceil(alike.reduce((sum, pot) => sum + extrasOf(pot), 0) / readers.length)
  }
  for (const pot of pots) {
    const least = Math.floor(pot.units.length / pot.readers.length)
    const bound = most(pot.readers)
    for (const reader of pot.readers) {
      if (pot.larger.size === extrasOf(pot)) break
      if (pot.units.filter((unit) => ownerOf(unit, pot.readers) === reader).length > least && (had.get(reader) ?? 0) < bound)
        give(pot, reader)
    }
  }
  for (const pot of pots) {
    while (pot.larger.size < extrasOf(pot)) {
      const orphans = pot.units.filter((unit) => ownerOf(unit, pot.readers) === undefined).flat()
      const next = pot.readers
        .filter((reader) => !pot.larger.has(reader))
        .toSorted((a, b) => (had.get(a) ?? 0) - (had.get(b) ?? 0) || warmth(b, orphans) - warmth(a, orphans))[0]
      if (next === undefined) break
      give(pot, next)
    }
  }
}

function deal({ readers, units, larger }: Pot): Map<Sharer, Place[]> {
  const least = Math.floor(units.length / readers.length)
  const room = new Map(readers.map((reader) => [reader, least + (larger.has(reader) ? 1 : 0)]))
  const dealt = new Map<Sharer, Place[]>(readers.map((reader) => [reader, []]))
  const give = (unit: readonly Place[], reader: Sharer): void => {
    dealt.get(reader)?.push(...unit)
    room.set(reader, (room.get(reader) ?? 0) - 1)
  }
  // What an owner has too much of is rather what others are warm for.
  const wantedBy = (unit: readonly Place[], owner: Sharer | undefined): number =>
    readers.filter((reader) => reader !== owner && warmth(reader, unit) > 0).length
  const homeless: (readonly Place[])[] = []
  for (const unit of units.toSorted((a, b) => wantedBy(a, ownerOf(a, readers)) - wantedBy(b, ownerOf(b, readers)))) {
    const owner = ownerOf(unit, readers)
    if (owner !== undefined && (room.get(owner) ?? 0) > 0) give(unit, owner)
    else homeless.push(unit)
  }
  // Those that few are warm for choose first.
  const choosers = homeless.toSorted((a, b) => (wantedBy(a, undefined) || Infinity) - (wantedBy(b, undefined) || Infinity))
  for (const unit of choosers) {
    const best = readers
      .filter((reader) => (room.get(reader) ?? 0) > 0)
      .toSorted((a, b) => warmth(b, unit) - warmth(a, unit) || (room.get(b) ?? 0) - (room.get(a) ?? 0))[0]
    if (best !== undefined) give(unit, best)
  }
  return dealt
}

/** Who owns most of it. */
function ownerOf(unit: readonly Place[], readers: readonly Sharer[]): Sharer | undefined {
  const owned = (reader: Sharer): number => countIn(reader.owned, unit)
  const best = readers.toSorted((a, b) => owned(b) - owned(a))[0]
  return best !== undefined && owned(best) > 0 ? best : undefined
}

function warmth(reader: Sharer, unit: readonly Place[]): number {
  return countIn(reader.warm, unit)
}

function countIn(places: readonly Place[], unit: readonly Place[]): number {
  return unit.filter(({ topic, partition }) => places.some((place) => place.topic === topic && place.partition === partition)).length
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}
