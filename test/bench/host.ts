import { detectors } from '../../detectors/registry.ts'
import type { HostedDetector } from '../../pipeline/host/hosted.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { Observation } from '../../schemas/index.ts'
import { seeded } from '../attacks/random.ts'
import { drawTraits, workloadFlows } from '../benign/egress-workload.ts'
import { epoch, observation } from '../contracts/observations.ts'
import { VictimTraffic } from '../contracts/scenarios/victim-traffic.ts'

export interface HostBench {
  readonly detector: string
  readonly events: number
  readonly keys: number
  readonly eventsPerSecond: number
  /** CPU of the whole process, microseconds an event. */
  readonly cpuMicros: number
  /** Snapshot of the partition at the end: bytes of text, time to make it, longest stretch without the event loop. */
  readonly snapshotBytes: number
  readonly snapshotMs: number
  readonly stallMs: number
}

export interface HostBenchOptions {
  /** Events a detector is fed with after its memory is full. Default 20,000. */
  readonly events?: number
  /** Principals that the requests come from. Default 1,000. */
  readonly principals?: number
  readonly seed?: number
}

/** Events through the core of the detector host, by detector; `none` is the host alone, and the last all that read fingerprints. */
export async function benchHost({ events = 20_000, principals = 1_000, seed = 1 }: HostBenchOptions = {}): Promise<HostBench[]> {
  const random = seeded(seed)
  const requests = Array.from({ length: events }, (_, n) =>
    observation('request', n, epoch + n, { principal: `p${random.below(principals)}` }),
  )
  const traffic = await VictimTraffic.open()
  const queries = await traffic.ordinary(4_096 + Math.min(events, 6_000), random, () => `p${random.below(principals)}`)
  await traffic.close()
  const results = [
    await measure('none', [], [], requests),
    await measure('egress-anomaly', hosting('egress-anomaly'), [], flows(events, seed)),
  ]
  const reading = detectors.filter(({ observes }) => observes.includes('fingerprint')).map(({ id }) => id)
  for (const id of reading) results.push(await measure(id, hosting(id), queries.slice(0, 4_096), queries.slice(4_096)))
  results.push(await measure('all of fingerprints', hosting(...reading), queries.slice(0, 4_096), queries.slice(4_096)))
  return results
}

function hosting(...ids: readonly string[]): HostedDetector[] {
  return detectors.filter(({ id }) => ids.includes(id)).map((definition) => ({ definition, params: {} }))
}

/** Fifty workloads, each from its own beginning. */
function flows(events: number, seed: number): Observation[] {
  const all: Observation[] = []
  for (let workload = 0; workload < 50; workload++) {
    const random = seeded(seed + workload)
    const source = workloadFlows(drawTraits(random, workload, false), random, epoch)
    for (let n = 0; n < events / 50; n++) {
      const { at, data } = source.next().value ?? { at: epoch, data: undefined }
      if (data !== undefined) all.push(observation('flow', workload * 1_000_000 + n, at, data))
    }
  }
  return all.sort((a, b) => a.time - b.time)
}

async function measure(
  detector: string,
  hosted: readonly HostedDetector[],
  before: readonly Observation[],
  stream: readonly Observation[],
): Promise<HostBench> {
  const host = createPartitionHost(hosted, { topic: 'bench', partition: 0, aheadMs: 365 * 86_400_000 })
  let offset = 0
  for (const event of before) host.apply(event, offset++)
  const from = { cpu: process.cpuUsage(), at: performance.now() }
  for (const event of stream) host.apply(event, offset++)
  const seconds = (performance.now() - from.at) / 1_000
  const { user, system } = process.cpuUsage(from.cpu)
  const snapshot = await timedSnapshot(host)
  const keys = Object.values(host.keys()).reduce((sum, held) => sum + held, 0)
  return {
    detector,
    events: stream.length,
    keys,
    eventsPerSecond: stream.length / seconds,
    cpuMicros: (user + system) / stream.length,
    ...snapshot,
  }
}

async function timedSnapshot(host: ReturnType<typeof createPartitionHost>) {
  let stallMs = 0
  let last = performance.now()
  let watching = true
  const watch = () => {
    stallMs = Math.max(stallMs, performance.now() - last)
    last = performance.now()
    if (watching) setImmediate(watch)
  }
  setImmediate(watch)
  const begun = performance.now()
  const cut = host.cut()
  let snapshotBytes = 0
  for (let text = cut.read(2); text !== null; text = cut.read(2)) {
    snapshotBytes += Buffer.byteLength(text)
    await new Promise((resolve) => setImmediate(resolve))
  }
  const snapshotMs = performance.now() - begun
  await new Promise((resolve) => setImmediate(resolve))
  watching = false
  return { snapshotBytes, snapshotMs, stallMs }
}
