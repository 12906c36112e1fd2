import kafkajs, { type GroupMember, type GroupMemberAssignment } from 'kafkajs'
import { z } from 'zod'
import { type Place, placeKey, type Sharer, share } from '../sharing.ts'

/** Name of the protocol that all members of a group must speak. */
export const protocolName = 'cordon-sticky-1'

/** What a member tells the others when it joins. */
export interface Subscription extends Omit<Sharer, 'id'> {
  /** The generation of the group in which it got what it owns: of two that claim the same, the later is right. */
  readonly generation: number
}

const Places = z.record(z.string(), z.array(z.int().min(0)))
const UserData = z.object({ generation: z.int(), together: z.boolean(), owned: Places, warm: Places })

/** Most warm partitions that a member tells of: brokers bound the sum of what members say. */
const maxWarm = 2_000

export function encodeSubscription(subscription: Subscription): Buffer {
  const { topics, generation, together, owned, warm } = subscription
  const userData = { generation, together, owned: byTopic(owned), warm: byTopic(warm.slice(0, maxWarm)) }
  return kafkajs.AssignerProtocol.MemberMetadata.encode({
    version: 0,
    topics: [...topics],
    userData: Buffer.from(JSON.stringify(userData)),
  })
}

/** One whose words cannot be read is taken to own nothing. */
function decodeSubscription(metadata: Buffer): Subscription {
  const decoded = kafkajs.AssignerProtocol.MemberMetadata.decode(metadata)
  const topics = decoded?.topics ?? []
  try {
    const { generation, together, owned, warm } = UserData.parse(JSON.parse(decoded?.userData.toString() ?? ''))
    return { topics, generation, together, owned: placesOf(owned), warm: placesOf(warm) }
  } catch {
    return { topics, generation: -1, together: false, owned: [], warm: [] }
  }
}

/** Every topic that a member reads. */
export function topicsOf(members: readonly GroupMember[]): string[] {
  return [...new Set(members.flatMap(({ memberMetadata }) => decodeSubscription(memberMetadata).topics))]
}

export function decodeAssignment(assignment: Buffer): Place[] {
  return assignment.length === 0 ? [] : placesOf(kafkajs.AssignerProtocol.MemberAssignment.decode(assignment)?.assignment ?? {})
}

/**
 * Shares out the partitions among the members of a group. What another member still holds is given to nobody: that
 * member learns from its share that it is to let go, joins again when it has, and then it is given. So nobody stops
 * working on what it keeps, and no partition is ever with two members.
 *
 * @param counts partitions by topic
 */
export function assign(members: readonly GroupMember[], counts: ReadonlyMap<string, number>): GroupMemberAssignment[] {
  const subscriptions = members.map(({ memberId, memberMetadata }) => ({ id: memberId, ...decodeSubscription(memberMetadata) }))
  const owners = new Map<string, { readonly id: string; readonly generation: number }>()
  for (const { id, generation, owned } of subscriptions) {
    for (const place of owned) {
      const other = owners.get(placeKey(place))
      if (other === undefined || other.generation < generation) owners.set(placeKey(place), { id, generation })
    }
  }
  const sharers = subscriptions.map((each) => ({
    ...each,
    owned: each.owned.filter((place) => owners.get(placeKey(place))?.id === each.id),
  }))
  const shares = share(sharers, counts)
  return members.map(({ memberId }) => {
    const places = (shares.get(memberId) ?? []).filter((place) => (owners.get(placeKey(place))?.id ?? memberId) === memberId)
    return {
      memberId,
      memberAssignment: kafkajs.AssignerProtocol.MemberAssignment.encode({
        version: 0,
        assignment: byTopic(places),
        userData: Buffer.alloc(0),
      }),
    }
  })
}

function byTopic(places: readonly Place[]): Record<string, number[]> {
  const groups = Map.groupBy(places, (place) => place.topic)
  return Object.fromEntries([...groups].map(([topic, each]) => [topic, each.map(({ partition }) => partition).sort((a, b) => a - b)]))
}

function placesOf(partitions: Readonly<Record<string, readonly number[]>>): Place[] {
  return Object.entries(partitions).flatMap(([topic, numbers]) => numbers.map((partition) => ({ topic, partition })))
}
