import { readFile } from 'node:fs/promises'
import kafkajs, { type AclEntry as KafkaAcl, type KafkaConfig } from 'kafkajs'
import type { AclEntry } from '../../bus/kafka/acls.ts'
import { until } from '../bus/until.ts'
import type { Cluster } from './cluster.ts'

const operations = {
  Read: kafkajs.AclOperationTypes.READ,
  Write: kafkajs.AclOperationTypes.WRITE,
  Describe: kafkajs.AclOperationTypes.DESCRIBE,
  DescribeConfigs: kafkajs.AclOperationTypes.DESCRIBE_CONFIGS,
} as const

/** What `admin` connects with; nothing where the cluster is open to everyone. */
export async function accessOf({ security }: Cluster): Promise<Pick<KafkaConfig, 'ssl' | 'sasl'>> {
  if (security === null) return {}
  return { ssl: { ca: await readFile(security.caFile, 'utf8') }, sasl: { mechanism: 'scram-sha-512', ...security.login() } }
}

/** Gives rights as kafka-acls.sh would. Resolves when the broker knows them; with several, one of them. */
export async function grant(cluster: Cluster, entries: readonly AclEntry[]): Promise<void> {
  const client = new kafkajs.Kafka({ brokers: [...cluster.brokers], ...(await accessOf(cluster)) }).admin()
  await client.connect()
  try {
    await client.createAcls({ acl: entries.map(toKafka) })
    await until('the rights are known', async () => {
      const { resources } = await client.describeAcls({
        resourceType: kafkajs.AclResourceTypes.ANY,
        resourcePatternType: kafkajs.ResourcePatternTypes.ANY,
        operation: kafkajs.AclOperationTypes.ANY,
        permissionType: kafkajs.AclPermissionTypes.ANY,
      })
      return resources.reduce((sum, { acls }) => sum + acls.length, 0) >= entries.length
    })
  } finally {
    await client.disconnect()
  }
}

function toKafka({ principal, resource, name, operation }: AclEntry): KafkaAcl {
  return {
    principal,
    host: '*',
    permissionType: kafkajs.AclPermissionTypes.ALLOW,
    operation: operations[operation],
    resourceType: resource === 'topic' ? kafkajs.AclResourceTypes.TOPIC : kafkajs.AclResourceTypes.GROUP,
    resourceName: name,
    resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL,
  }
}
