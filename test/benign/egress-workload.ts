import type { FlowEvent } from '../../schemas/index.ts'
import type { Random } from '../attacks/random.ts'

/** A flow and when it was seen, milliseconds. */
export interface TimedFlow {
  readonly at: number
  readonly data: FlowEvent
}

/** Something a serving workload does over and over: when it is due, and the flow it then makes. */
export interface Habit {
  due: number
  readonly act: (at: number) => FlowEvent
  readonly next: (at: number) => number
}

export interface WorkloadTraits {
  readonly workload: string
  readonly pool: string
  /** Few peers in front (a load balancer), or every client's own address. */
  readonly clients: 'balanced' | 'direct'
  /** Requests a second at the daily mean. */
  readonly rate: number
  /** Bytes of the median answer: a label, an embedding, an image. */
  readonly answer: number
  /** Peak over trough of the day. */
  readonly swing: number
  /** Pods behind services move to other addresses this often, hours; 0 never. */
  readonly churnHours: number
  /** A backup to a bucket, every so many hours; 0 none. */
  readonly backupHours: number
}

const second = 1_000
const hour = 3_600 * second

export function flowTo(
  traits: Pick<WorkloadTraits, 'workload' | 'pool'>,
  destination: { address: string; port: number; name?: string | null },
  bytesOut: number,
  bytesIn: number,
): FlowEvent {
  return {
    workload: traits.workload,
    pool: traits.pool,
    connection: null,
    destination: { address: destination.address, port: destination.port, name: destination.name ?? null },
    protocol: [53, 123].includes(destination.port) ? 'udp' : 'tcp',
    service: null,
    bytesOut: Math.round(bytesOut),
    bytesIn: Math.round(bytesIn),
    durationMs: 20,
  }
}

/** Draws what a workload is like; backups are made only where `backups` allows. */
export function drawTraits(random: Random, index: number, backups: boolean): WorkloadTraits {
  return {
    workload: `serve-${index}`,
    pool: `gpu-${random.pick(['a', 'b', 'c'])}`,
    clients: random.next() < 0.7 ? 'balanced' : 'direct',
    rate: Math.exp(random.between(Math.log(0.02), Math.log(1))),
    answer: Math.exp(random.between(Math.log(300), Math.log(300_000))),
    swing: random.between(1.5, 10),
    churnHours: random.next() < 0.7 ? random.between(4, 30) : 0,
    backupHours: backups ? random.pick([1, 6, 24]) : 0,
  }
}

const address = (random: Random) => `10.${random.below(256)}.${random.below(256)}.${random.below(256)}`
const abroad = (random: Random) => `${11 + random.below(180)}.${random.below(256)}.${random.below(256)}.${random.below(256)}`
const lognormal = (random: Random, median: number, sigma: number) => median * Math.exp(sigma * random.normal())

/** Everything the workload does, from `start` on, merged in time order; endless. */
export function* workloadFlows(traits: WorkloadTraits, random: Random, start: number): Generator<TimedFlow> {
  const habits = [...answering(traits, random, start), ...tending(traits, random, start), ...rarely(traits, random, start)]
  for (;;) {
    let first = habits[0]
    for (const habit of habits) if (first === undefined || habit.due < first.due) first = habit
    if (first === undefined) return
    const at = first.due
    yield { at: Math.round(at), data: first.act(at) }
    first.due = Math.max(at, first.next(at))
  }
}

/** An address that changes when the pod behind it does. */
function moving(traits: WorkloadTraits, random: Random, start: number): (at: number) => string {
  let current = address(random)
  let until = start + traits.churnHours * hour * random.between(0.2, 1)
  return (at) => {
    while (traits.churnHours > 0 && at >= until) {
      current = address(random)
      until += traits.churnHours * hour
    }
    return current
  }
}

/** Answers to clients: a daily wave with bursts, through balancers or straight to each client. */
function answering(traits: WorkloadTraits, random: Random, start: number): Habit[] {
  const peers = Array.from({ length: 3 }, () => moving(traits, random, start))
  const clients = Array.from({ length: 400 }, () => abroad(random))
  const phase = random.between(0, 24 * hour)
  let burstUntil = 0
  const next = (at: number) => {
    const wave = traits.swing ** (0.5 * Math.sin((2 * Math.PI * (at + phase)) / (24 * hour)))
    if (at > burstUntil && random.next() < 2e-4) burstUntil = at + random.between(10, 300) * second
    const rate = traits.rate * wave * (at < burstUntil ? 8 : 1)
    return at + (-Math.log(1 - random.next()) / rate) * second
  }
  return [
    {
      due: next(start),
      next,
      act: (at) => {
        const direct = traits.clients === 'direct'
        if (direct && random.next() < 0.05) clients[random.below(clients.length)] = abroad(random)
        const to = direct ? (clients[Math.floor(clients.length * random.next() ** 3)] ?? '') : random.pick(peers)(at)
        const port = 32_768 + random.below(28_000)
        return flowTo(traits, { address: to, port }, lognormal(random, traits.answer, 0.6), lognormal(random, 4_000, 0.8))
      },
    },
  ]
}

/** A timer with a small wobble. */
function timer(random: Random, start: number, period: number, wobble: number, act: (at: number) => FlowEvent): Habit {
  return { due: start + random.next() * period, next: (at) => at + period * (1 + wobble * (2 * random.next() - 1)), act }
}

/** Metrics, logs, time, health, names and control plane: regular, to the same few. */
function tending(traits: WorkloadTraits, random: Random, start: number): Habit[] {
  const [metrics, logs, health] = [0, 1, 2].map(() => moving(traits, random, start)) as [
    (at: number) => string,
    (at: number) => string,
    (at: number) => string,
  ]
  const clock = abroad(random)
  const metricsSize = lognormal(random, 15_000, 0.5)
  const logSize = lognormal(random, 40_000, 0.8)
  let ntp = 64
  return [
    timer(random, start, 15 * second, 0.02, (at) =>
      flowTo(traits, { address: metrics(at), port: 9_091 }, metricsSize * random.between(0.9, 1.1), 200),
    ),
    timer(random, start, random.between(5, 30) * second, 0.3, (at) =>
      flowTo(traits, { address: logs(at), port: 24_224 }, lognormal(random, logSize, 0.7), 300),
    ),
    timer(random, start, 10 * second, 0.01, (at) => flowTo(traits, { address: health(at), port: 40_000 + random.below(9_000) }, 180, 120)),
    {
      due: start + random.next() * 64 * second,
      next: (at) => at + (ntp = Math.min(1_024, ntp * 1.3)) * second * random.between(0.98, 1.02),
      act: () => flowTo(traits, { address: clock, port: 123 }, 48, 48),
    },
    timer(random, start, 30 * second, 0.5, () => flowTo(traits, { address: '10.0.0.10', port: 53 }, 60, 200)),
    timer(random, start, 45 * second, 0.3, () =>
      flowTo(traits, { address: '10.0.0.1', port: 443, name: 'control.cluster.internal' }, 900, 5_000),
    ),
  ]
}

/** A Poisson habit, `perDay` times a day. */
function sometimes(random: Random, start: number, perDay: number, act: (at: number) => FlowEvent): Habit {
  const next = (at: number) => at - Math.log(1 - random.next()) * ((24 * hour) / perDay)
  return { due: next(start), next, act }
}

/** Model pulls from registry mirrors that vary, error reports, certificate checks, package mirrors, and the backup. */
function rarely(traits: WorkloadTraits, random: Random, start: number): Habit[] {
  const mirrors = Array.from({ length: 30 }, (_, i) => `cdn-${i}.models.example`)
  const odd = Array.from({ length: 60 }, (_, i) => `host-${i}.example`)
  const habits = [
    sometimes(random, start, 3, () => {
      const bytesIn = lognormal(random, 2e9, 1)
      return flowTo(
        traits,
        { address: abroad(random), port: 443, name: random.pick(mirrors) },
        bytesIn * random.between(0.0005, 0.005),
        bytesIn,
      )
    }),
    sometimes(random, start, 8, () =>
      flowTo(
        traits,
        { address: abroad(random), port: 443, name: random.pick(odd) },
        lognormal(random, 4_000, 1.2),
        lognormal(random, 20_000, 1.5),
      ),
    ),
    sometimes(random, start, 6, () =>
      flowTo(traits, { address: abroad(random), port: 443, name: 'errors.example' }, lognormal(random, 30_000, 1), 400),
    ),
    sometimes(random, start, 4, () => flowTo(traits, { address: abroad(random), port: 80 }, 300, lognormal(random, 3_000, 0.5))),
  ]
  const size = lognormal(random, 2e9, 1)
  if (traits.backupHours > 0)
    habits.push(
      timer(random, start, traits.backupHours * hour, 0.02, () =>
        flowTo(
          traits,
          { address: abroad(random), port: 443, name: 'backup.bucket.example' },
          size * random.between(0.8, 1.25),
          size * 1e-4,
        ),
      ),
    )
  return habits
}
