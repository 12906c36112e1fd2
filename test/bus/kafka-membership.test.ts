import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Brokers } from '../../bus/kafka/brokers.ts'
import { Membership } from '../../bus/kafka/membership.ts'
import type { NodeBroker } from '../../bus/kafka/node-broker.ts'
import { type Place, placeKey } from '../../bus/sharing.ts'
import { until } from './until.ts'

type Join = Parameters<NodeBroker['joinGroup']>[0]

/** A coordinator of a group with one member. */
class Coordinator {
  generation = 0
  joins: Join[] = []
  /** Called with each heartbeat and commit; what it throws is the answer. */
  answer: () => void = () => {}

  joinGroup = async (request: Join): Promise<unknown> => {
    this.joins.push(request)
    const memberId = request.memberId === '' ? `member-${this.joins.length}` : request.memberId
    const members = [{ memberId, memberMetadata: request.groupProtocols[0]?.metadata ?? Buffer.alloc(0) }]
    return { generationId: ++this.generation, leaderId: memberId, memberId, members }
  }

  syncGroup = async ({ groupAssignment }: Parameters<NodeBroker['syncGroup']>[0]): Promise<unknown> => ({
    memberAssignment: groupAssignment[0]?.memberAssignment ?? Buffer.alloc(0),
  })

  heartbeat = async (): Promise<void> => this.answer()
  offsetCommit = async (): Promise<void> => this.answer()
  leaveGroup = async (): Promise<void> => {}
}

function refuse(type: string): () => never {
  return () => {
    throw Object.assign(new Error(type), { type })
  }
}

function make(coordinator: Coordinator, more: Partial<Brokers> = {}): { membership: Membership; shares: string[][]; lost: () => number } {
  const brokers: Partial<Brokers> = {
    ask: (_node, _within, request) => request(coordinator as unknown as NodeBroker),
    coordinatorOf: async () => '1',
    follow: async () => {},
    refresh: async () => {},
    partitionsOf: () => [0, 1],
    close: async () => {},
    ...more,
  }
  const shares: string[][] = []
  let owned: readonly Place[] = []
  let lost = 0
  const membership = new Membership({
    joining: brokers as Brokers,
    brokers: brokers as Brokers,
    groupId: 'g',
    sessionMs: 1_500,
    requestMs: 1_000,
    commitMs: 2_000,
    subscription: () => ({ topics: ['t'], together: false, owned, warm: [] }),
    onShare: (share) => {
      owned = share
      shares.push(share.map(placeKey))
    },
    onLost: () => {
      owned = []
      lost++
    },
    onError: () => {},
  })
  return { membership, shares, lost: () => lost }
}

/** As SIGSTOP does: nothing of the process runs. */
function freeze(milliseconds: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds)
}

test('is not sure of its place after a pause as long as the session, before anyone told it that it was replaced', async () => {
  const coordinator = new Coordinator()
  const { membership, shares, lost } = make(coordinator)
  assert.equal(membership.confirmed, false)
  membership.start()
  await until('the first share', () => shares.length === 1)
  assert.deepEqual(shares, [['t/0', 't/1']])
  assert.equal(membership.confirmed, true)
  freeze(1_600)
  assert.equal(membership.confirmed, false)
  await until('a heartbeat', () => membership.confirmed)
  coordinator.answer = refuse('UNKNOWN_MEMBER_ID')
  freeze(1_600)
  assert.equal(membership.confirmed, false)
  await until('it knows', () => lost() > 0)
  coordinator.answer = () => {}
  await until('it joined again', () => shares.length > 1 && membership.confirmed)
  // As someone new, who owns nothing.
  assert.equal(coordinator.joins[1]?.memberId, '')
  await membership.close()
})

test('joins again when the group rebalances, keeping its place and telling what it has', async () => {
  const coordinator = new Coordinator()
  const { membership, shares, lost } = make(coordinator)
  membership.start()
  await until('the first share', () => shares.length === 1)
  let refusals = 1
  coordinator.answer = () => {
    if (refusals-- > 0) refuse('REBALANCE_IN_PROGRESS')()
  }
  await until('the second share', () => shares.length === 2)
  assert.equal(coordinator.joins.length, 2)
  assert.equal(coordinator.joins[1]?.memberId, 'member-1')
  assert.equal(lost(), 0)
  assert.equal(membership.confirmed, true)
  await membership.close()
})

test('commits again while the group rebalances, and not where the place is lost', async () => {
  const coordinator = new Coordinator()
  const { membership, shares } = make(coordinator)
  membership.start()
  await until('the first share', () => shares.length === 1)
  let refusals = 2
  coordinator.answer = () => {
    if (refusals-- > 0) refuse('REBALANCE_IN_PROGRESS')()
  }
  await membership.commit('t', 0, 5, new AbortController().signal)
  coordinator.answer = refuse('UNKNOWN_MEMBER_ID')
  await assert.rejects(membership.commit('t', 0, 6, new AbortController().signal), /UNKNOWN_MEMBER_ID/)
  await membership.close()
})

test('asks another broker for the coordinator where one lags behind and names who is none any more', async () => {
  const coordinator = new Coordinator()
  let turn = 0
  const views = ['stale', 'true']
  const { membership, shares } = make(coordinator, {
    coordinatorOf: async (_group, elsewhere) => {
      if (elsewhere) turn++
      return views[turn % views.length] ?? ''
    },
    ask: async (node, _within, request) =>
      node === 'stale' ? refuse('NOT_COORDINATOR_FOR_GROUP')() : request(coordinator as unknown as NodeBroker),
  })
  membership.start()
  await until('the first share', () => shares.length === 1)
  await membership.commit('t', 0, 5, new AbortController().signal)
  await membership.close()
})
