/** Where a broker is reached, by itself and by the others. */
export interface Ports {
  readonly client: number
  readonly controller: number
}

/**
 * Settings of broker `id` (from 1) of a cluster whose every broker is a controller too. Small, and quick to notice
 * that another is gone: a paused or killed broker is replaced within some 3 s.
 *
 * @param host that it listens at; clients and the other brokers reach it at 127.0.0.1
 */
export function brokerSettings(id: number, ports: readonly Ports[], host: string): Record<string, string> {
  const own = ports[id - 1]
  if (own === undefined) throw new RangeError(`no ports of broker ${id}`)
  const copies = String(Math.min(3, ports.length))
  const inSync = ports.length > 2 ? '2' : '1'
  return {
    'process.roles': 'broker,controller',
    'node.id': String(id),
    'controller.quorum.voters': ports.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: `PLAINTEXT://${host}:${own.client},CONTROLLER://${host}:${own.controller}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${own.client}`,
    'listener.security.protocol.map': 'CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT',
    'default.replication.factor': copies,
    'min.insync.replicas': inSync,
    'offsets.topic.replication.factor': copies,
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': copies,
    'transaction.state.log.min.isr': inSync,
    'transaction.state.log.num.partitions': '1',
    'share.coordinator.state.topic.replication.factor': copies,
    'share.coordinator.state.topic.min.isr': inSync,
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': '1000',
    'auto.create.topics.enable': 'false',
    'broker.heartbeat.interval.ms': '500',
    'broker.session.timeout.ms': '3000',
    'controller.quorum.election.timeout.ms': '1000',
    'controller.quorum.fetch.timeout.ms': '2000',
    'replica.lag.time.max.ms': '3000',
    'num.network.threads': '2',
    'num.io.threads': '2',
    'background.threads': '2',
    'num.recovery.threads.per.data.dir': '1',
    'log.cleaner.dedupe.buffer.size': '4194304',
    'log.cleaner.backoff.ms': '1000',
  }
}
