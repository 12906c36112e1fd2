import { type Heartbeat, type Instant, isAlive } from '../../../schemas/index.ts'

export interface TopicPartition {
  readonly topic: string
  readonly partition: number
}

export interface Neighbourhood {
  /** Ourselves, by name. */
  readonly instance: string
  /** Newest heartbeats of role `detect`, our own among them or not. */
  readonly heartbeats: readonly Heartbeat[]
  /** Every partition that is observed. */
  readonly partitions: readonly TopicPartition[]
  readonly now: Instant
}

/**
 * The partitions that this instance follows, to take them over: those of the instance before it in the ring of live ones
 * by name, so that each has one follower. What nobody alive owns is followed by the first two of the ring. Alone, it follows
 * nothing, since the group gives it all.
 */
export function partitionsToFollow(neighbourhood: Neighbourhood): TopicPartition[] {
  const { instance, partitions } = neighbourhood
  const live = alive(neighbourhood)
  const ring = [...new Set([instance, ...live.map((each) => each.instance)])].sort()
  if (ring.length < 2) return []
  const place = ring.indexOf(instance)
  const before = ring.at(place - 1)
  const owners = ownersOf(live)
  return partitions.filter((each) => {
    const owner = owners.get(placeKey(each))
    return owner === undefined ? place < 2 : owner === before
  })
}

/** The partitions that nobody alive owns. */
export function orphans(neighbourhood: Neighbourhood): TopicPartition[] {
  const owners = ownersOf(alive(neighbourhood))
  return neighbourhood.partitions.filter((each) => !owners.has(placeKey(each)))
}

function alive({ heartbeats, now }: Neighbourhood): Heartbeat[] {
  return heartbeats.filter((each) => each.role === 'detect' && isAlive(each, now))
}

/** Who says that it owns a partition; where two do, the one who said so last. */
function ownersOf(live: readonly Heartbeat[]): Map<string, string> {
  const owners = new Map<string, string>()
  for (const { instance, assignments } of live.toSorted((a, b) => a.at - b.at)) {
    for (const each of assignments) if (!each.standby) owners.set(placeKey(each), instance)
  }
  return owners
}

export function placeKey({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`
}
