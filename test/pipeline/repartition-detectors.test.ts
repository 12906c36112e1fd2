import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { partitionOf } from '../../bus/partitioner.ts'
import { egressAnomaly } from '../../detectors/egress-anomaly/egress-anomaly.ts'
import { nearDuplicateProbing } from '../../detectors/near-duplicate-probing/near-duplicate-probing.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { type Observation, type TopicName, type TopicSpec, topics } from '../../schemas/index.ts'
import { observation } from '../contracts/observations.ts'
import { egressScenario } from '../contracts/scenarios/egress-anomaly.ts'
import { nearDuplicateScenario } from '../contracts/scenarios/near-duplicate-probing.ts'
import { VictimTraffic } from '../contracts/scenarios/victim-traffic.ts'
import { hosted } from './host-toys.ts'
import { disturbed, told, undisturbed } from './repartition-site.ts'

describe('repartition with the detectors there are', () => {
  let traffic: VictimTraffic
  before(async () => {
    traffic = await VictimTraffic.open()
  })
  after(() => traffic.close())

  /** Everything in time order; each key keeps its order. */
  function inOrder(streams: readonly Iterable<Observation>[]): Observation[] {
    return streams
      .flatMap((stream) => [...stream])
      .sort((a, b) => a.time - b.time)
      .map((event, n) => ({ ...event, id: observation('flow', n, event.time).id }) as Observation)
  }

  async function check(
    topic: TopicName,
    detectors: readonly HostedDetector[],
    events: readonly Observation[],
    middle: number,
  ): Promise<void> {
    const spec = topics[topic] as TopicSpec
    const keys = new Set(events.map(({ data }) => spec.key(data as never)))
    const marks = { stop: middle - 40, grow: middle, settled: middle + 40, knows: (index: number) => index % 2 === 0 }
    const course = { topic, detectors, events, from: 4, to: 12, ...marks }
    const expected = await undisturbed(course)
    assert.ok(expected.length > 0)
    const site = await disturbed(course)
    assert.deepEqual(told(site.findings()), expected)
    const moved = [...keys].filter((key) => partitionOf(key, 4) !== partitionOf(key, 12))
    assert.ok(moved.length > 0, 'no key moved')
  }

  it('an upload half out is stated as without it', async () => {
    const scenario = egressScenario()
    const named = (name: string, stream: Iterable<Observation>) =>
      [...stream].map((event) => ({ ...event, data: { ...event.data, workload: name } }) as Observation)
    const streams = ['serve-a', 'serve-b', 'serve-c'].map((name) => [
      ...named(name, scenario.warmup?.() ?? []),
      ...named(name, scenario.attack()),
    ])
    const events = inOrder(streams)
    await check('flows', [hosted(egressAnomaly)], events, events.length - 200)
  })

  it('a probing half done is stated as without it', async () => {
    const scenario = await nearDuplicateScenario(traffic)
    const named = (model: string) =>
      [...(scenario.warmup?.() ?? []), ...scenario.attack()].map((event) => ({ ...event, data: { ...event.data, model } }) as Observation)
    const events = inOrder(['digits', 'letters', 'faces'].map(named))
    await check('fingerprints', [hosted(nearDuplicateProbing)], events, events.length - 90)
  })
})
