import type { Cluster } from 'kafkajs'

interface Partition {
  partitionErrorCode: number
  leader: number
}
interface Metadata {
  readonly topicMetadata: readonly { readonly partitionMetadata: readonly Partition[] }[]
}
/** A request of kafkajs, and how its answer is read. */
interface Exchange {
  readonly request: { readonly apiKey: number }
  readonly response: { readonly parse: (answer: Metadata) => Promise<unknown> }
}
interface Pool {
  readonly createBroker: (options: { readonly connectionPool: { send: (exchange: Exchange) => Promise<unknown> } }) => unknown
}

const metadataKey = 3

/**
 * Has a cluster take what brokers say of the leaders though a partition has none. kafkajs throws the whole answer away
 * then: while all copies of one partition are gone, it would learn of no other partition's new leader.
 */
export function allowLeaderless(cluster: Cluster): void {
  // Not in the public types; a cluster makes every broker by this.
  const { brokerPool } = cluster as unknown as { brokerPool: { -readonly [K in keyof Pool]: Pool[K] } }
  const create = brokerPool.createBroker
  brokerPool.createBroker = (options) => {
    const { connectionPool } = options
    const send = connectionPool.send.bind(connectionPool)
    connectionPool.send = (exchange) => send(exchange.request.apiKey === metadataKey ? lenient(exchange) : exchange)
    return create(options)
  }
}

function lenient({ request, response }: Exchange): Exchange {
  const parse = (answer: Metadata): Promise<unknown> => {
    for (const { partitionMetadata } of answer.topicMetadata) {
      for (const partition of partitionMetadata) {
        if (partition.partitionErrorCode === 0) continue
        partition.partitionErrorCode = 0
        partition.leader = -1
      }
    }
    return response.parse(answer)
  }
  return { request, response: { ...response, parse } }
}
