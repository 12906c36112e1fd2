import { setTimeout as sleep } from 'node:timers/promises'
import type { EventBus } from '../../bus/port.ts'
import type { Client } from '../../cli/client.ts'
import type { ContainmentView, InstanceStatus, Lag } from '../../console/port.ts'
import { type Random, seeded } from '../attacks/random.ts'
import { blankQuery } from '../end-to-end/blank-query.ts'
import { countDuplicates, type Sql } from '../end-to-end/stored.ts'
import { checkActions, checkEvents, checkFindings, checkGaps, readLeases } from './checker.ts'
import { type Deployment, startDeployment, telemetryMs } from './deployment.ts'
import { faults, type Hospital, type Injury } from './faults.ts'
import { emptyLedger, history, type Load, sendHistory, startLoad } from './load.ts'

export interface FaultRunOptions {
  readonly minutes: number
  readonly seed: number
  readonly flowsPerSecond: number
  readonly requestsPerSecond: number
  readonly say: (line: string) => void
}

export interface FaultVerdict {
  readonly seed: number
  readonly minutes: number
  /** Events that senders were promised, and events a second over the run. */
  readonly events: number
  readonly eventsPerSecond: number
  readonly faults: number
  readonly lost: number
  readonly duplicated: number
  readonly findings: number
  readonly findingsDiffering: number
  readonly actionsRepeated: number
  readonly leasesWrong: number
  readonly gaps: number
  readonly gapsWrong: number
  /** What was done, how often. */
  readonly injuries: Readonly<Record<string, number>>
}

/** What `cordon start` would say of itself is here asked of the console, which may be down: ask again. */
async function asking<T>(what: string, timeoutMs: number, ask: () => Promise<T | undefined>): Promise<T> {
  const until = Date.now() + timeoutMs
  let reason: unknown
  for (;;) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      reason = error
    }
    if (Date.now() > until) throw new Error(`not within ${timeoutMs} ms: ${what}`, { cause: reason })
    await sleep(200)
  }
}

/** Breaks a deployment under steady load, seeded, mends it, and compares what was promised with what is there. */
export async function faultRun(options: FaultRunOptions): Promise<FaultVerdict> {
  const { seed, say } = options
  const random = seeded(seed)
  const deployment = await startDeployment({ say })
  try {
    const bus = await deployment.openBus('faults')
    try {
      return await disturb(options, deployment, bus, random)
    } finally {
      await bus.close()
    }
  } catch (error) {
    // Whoever reads only the end of this wants to know what the detectors said.
    const last = [...deployment.roles.values()].sort((a, b) => Number(a.role === 'detect') - Number(b.role === 'detect'))
    for (const { name, log } of last) say(`--- ${name}\n${log.slice(-4_000)}`)
    throw error
  } finally {
    await deployment.stop()
  }
}

async function disturb(
  { minutes, seed, flowsPerSecond, requestsPerSecond, say }: FaultRunOptions,
  deployment: Deployment,
  bus: EventBus,
  random: Random,
): Promise<FaultVerdict> {
  const { roles, token, api } = deployment
  const keyOf = async (principal: string) =>
    (await asking('a key', 60_000, () => api.post<{ key: string }>('/api/keys', { principal, organization: null, expiresAt: null }))).key
  const contain = (target: string, forMs: number, reason: string) =>
    asking('a containment', 60_000, () =>
      api.post<ContainmentView>('/api/containments', { target, action: 'deny-principal', parameters: {}, forMs, reason, by: 'test' }),
    )
  const held = await keyOf('held')
  await contain('principal:held', 6 * 3_600_000, 'held through everything')
  const brief = await keyOf('briefly')
  await contain('principal:briefly', 20_000, 'over in the middle')
  const keys = await Promise.all(Array.from({ length: 12 }, (_, i) => keyOf(`reader-${i}`)))
  const ledger = emptyLedger()
  await sendHistory(roles, token, history(seed, Date.now()), ledger)
  const load = startLoad({ roles, token, keys, flowsPerSecond, requestsPerSecond, seed, ledger })
  const began = Date.now()
  const injuries: Injury[] = []
  try {
    await inflict({ deployment, random, bus, busy: new Set(), say }, load, keyOf, began + minutes * 60_000, injuries, seed)
  } finally {
    await load.stop()
  }
  const seconds = (Date.now() - began) / 1_000
  say(`everything is mended after ${seconds.toFixed(0)} s and ${injuries.length} faults; waiting until all is handled`)
  await settled(deployment, bus, say)
  const sql: Sql = async (text) => (await api.post<{ rows: Record<string, unknown>[] }>('/api/query', { sql: text })).rows
  const answers = [...ledger.answers.values()].reduce((sum, { size }) => sum + size, 0)
  const lost = await checkEvents(sql, ledger, say)
  const duplicated = await countDuplicates(sql)
  const leasesWrong = await checkLeases(deployment, bus, { held, brief }, say)
  // They still let time pass where it is quiet; from here on the log stands still.
  await Promise.all([...roles.values()].filter(({ role }) => role === 'node' || role === 'detect').map((role) => role.stop()))
  const { findings, differing } = await checkFindings(bus, say)
  const { gaps, wrong } = await checkGaps(bus, injuries, { telemetryMs, objectiveMs: 10_000, ahead: 'node-ahead' }, say)
  const events = ledger.flows.size + 2 * answers
  return {
    seed,
    minutes,
    events,
    eventsPerSecond: Math.round(events / seconds),
    faults: injuries.length,
    lost,
    duplicated,
    findings,
    findingsDiffering: differing,
    actionsRepeated: await checkActions(bus),
    leasesWrong,
    gaps,
    gapsWrong: wrong,
    injuries: Object.fromEntries(
      [...Map.groupBy(injuries, ({ fault, victim }) => `${fault} ${victim.replace(/-\d+$/, '')}`)].map(([name, list]) => [
        name,
        list.length,
      ]),
    ),
  }
}

/** One fault after the other, now and then two at once, and attacks in between. */
async function inflict(
  hospital: Hospital,
  load: Load,
  keyOf: (principal: string) => Promise<string>,
  until: number,
  injuries: Injury[],
  seed: number,
): Promise<void> {
  const { random } = hospital
  const running = new Set<Promise<void>>()
  for (let n = 0; Date.now() < until; n++) {
    if (n % 2 === 0) void keyOf(`prober-${seed}-${n}`).then((key) => load.attack(key, seed * 1_000 + n))
    else load.exfiltrate(n)
    const fault = random.pick(faults)(hospital)
    if (fault !== null) {
      const done = fault.then((injury) => void injuries.push(injury)).finally(() => running.delete(done))
      running.add(done)
    }
    const most = random.below(4) === 0 ? 2 : 1
    while (running.size >= most) await Promise.race(running)
    await sleep(random.between(200, 3_000))
  }
  await Promise.all(running)
}

/**
 * Every record is handled and stored, every node is heard of, and no timer of a detector is still to come for what happened.
 * However long that takes a slow machine, but each backlog has to shrink.
 */
async function settled({ api, roles }: Deployment, bus: EventBus, say: (line: string) => void): Promise<void> {
  const stalledMs = 120_000
  const least: { -readonly [group in keyof Lag]: number } = {
    sink: Number.POSITIVE_INFINITY,
    detect: Number.POSITIVE_INFINITY,
    respond: Number.POSITIVE_INFINITY,
  }
  let quiet = 0
  let progressAt = Date.now()
  let seen = 'the console did not answer'
  while (quiet < 10) {
    try {
      const { lag } = await api.get<InstanceStatus>('/api/status')
      seen = JSON.stringify(lag)
      // Telemetry and heartbeats go on, so "all" is never more than what a second brings.
      quiet = lag !== null && lag.sink < 200 && lag.detect < 200 && lag.respond === 0 ? quiet + 1 : 0
      for (const group of ['sink', 'detect', 'respond'] as const) {
        if (lag === null || lag[group] >= least[group]) continue
        least[group] = lag[group]
        progressAt = Date.now()
      }
    } catch (error) {
      seen = String(error)
    }
    if (quiet === 0 && Date.now() - progressAt > stalledMs) {
      const states = [...roles.values()].map(({ name, state }) => `${name} ${state}`).join(', ')
      throw new Error(`no backlog shrank for ${stalledMs} ms: ${seen}; ${states}; ${(await backlogs(bus, api)).join(', ')}`)
    }
    await sleep(200)
  }
  say('all is handled')
}

/** Where groups have not come to the end, and how far those who have a part in it say that they are. */
async function backlogs(bus: EventBus, api: Client): Promise<string[]> {
  const { instances } = await api.get<InstanceStatus>('/api/status')
  const lines: string[] = []
  for (const [topic, groups] of Map.groupBy(await bus.groups(), (group) => group.topic)) {
    for (const { partition, end } of await bus.partitions(topic)) {
      const said = instances.flatMap(({ instance, assignments }) =>
        assignments
          .filter((each) => each.topic === topic && each.partition === partition)
          .map(({ standby, offset }) => `${instance}${standby ? ' (standby)' : ''} at ${offset}`),
      )
      for (const { group, committed } of groups.filter((each) => each.partition === partition))
        if ((committed ?? 0) < end)
          lines.push(`${group} committed ${committed ?? 0} of ${end} in ${topic}/${partition} [${said.join(', ')}]`)
    }
  }
  return lines
}

async function checkLeases(
  deployment: Deployment,
  bus: EventBus,
  keys: { held: string; brief: string },
  say: (line: string) => void,
): Promise<number> {
  let wrong = 0
  const complain = (text: string) => {
    wrong++
    say(text)
  }
  const leases = await readLeases(bus)
  const heldLease = leases.find(({ target }) => target === 'principal:held')
  const briefLease = leases.find(({ target }) => target === 'principal:briefly')
  if (heldLease?.state !== 'active') complain(`the lease that was to hold is ${heldLease?.state ?? 'gone'}`)
  if (briefLease?.state !== 'expired' || briefLease.endedAt !== briefLease.until)
    complain(`the brief lease is ${JSON.stringify(briefLease)}`)
  const now = Date.now()
  for (const lease of leases) if (lease.state === 'active' && lease.until < now - 15_000) complain(`${lease.id} outlived its end`)
  for (const { name, role, url } of deployment.roles.values()) {
    if (role !== 'node' || url === null) continue
    if ((await blankQuery(url, keys.held)) !== 403) complain(`${name} answers the one that is contained`)
    // By a clock that is ahead it is over as well.
    if ((await blankQuery(url, keys.brief)) !== 200) complain(`${name} refuses one whose containment is over`)
  }
  return wrong
}
