import type { Broker, GroupMember, GroupMemberAssignment, GroupState, IResourceConfigEntry } from 'kafkajs'

/** Requests that kafkajs' brokers answer and its types leave out. */
export interface NodeBroker extends Broker {
  findGroupCoordinator(request: { groupId: string; coordinatorType: number }): Promise<{ coordinator: { nodeId: number } }>
  joinGroup(request: {
    groupId: string
    sessionTimeout: number
    rebalanceTimeout: number
    memberId: string
    groupProtocols: readonly GroupState[]
  }): Promise<{ generationId: number; leaderId: string; memberId: string; members: readonly GroupMember[] }>
  syncGroup(request: {
    groupId: string
    generationId: number
    memberId: string
    groupAssignment: readonly GroupMemberAssignment[]
  }): Promise<{ memberAssignment: Buffer }>
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>
  listGroups(): Promise<{ groups: readonly { groupId: string; protocolType: string }[] }>
  listOffsets(request: {
    isolationLevel: number
    topics: readonly { topic: string; partitions: readonly { partition: number; timestamp: number }[] }[]
  }): Promise<{ responses: readonly { topic: string; partitions: readonly { partition: number; offset: string }[] }[] }>
  createTopics(request: {
    topics: readonly {
      topic: string
      numPartitions: number
      replicationFactor: number
      configEntries: readonly IResourceConfigEntry[]
    }[]
    timeout: number
  }): Promise<unknown>
  createPartitions(request: { topicPartitions: readonly { topic: string; count: number }[]; timeout: number }): Promise<unknown>
  describeConfigs(request: { resources: readonly { type: number; name: string }[] }): Promise<{
    resources: readonly { resourceName: string; configEntries: readonly { configName: string; configValue: string }[] }[]
  }>
}
