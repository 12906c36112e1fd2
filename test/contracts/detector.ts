import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { z } from 'zod'
import type { DetectorDefinition } from '../../detectors/contract.ts'
import { listed } from '../../detectors/registry.ts'
import { createPartitionHost } from '../../pipeline/host/partition/partition.ts'
import type { PartitionHost, PartitionHostOptions } from '../../pipeline/host/partition/partition-host.ts'
import { type Finding, type Observation, type TopicSpec, topics } from '../../schemas/index.ts'
import { random } from './observations.ts'

export interface DetectorScenario<P extends z.ZodType> {
  readonly params: z.input<P>
  /** Ordinary traffic that must raise nothing. */
  readonly benign: () => Iterable<Observation>
  /** What the detector must have seen before the attack, where it learns first; raises nothing. */
  readonly warmup?: () => Iterable<Observation>
  /** Its own attack, and nothing else. */
  readonly attack: () => Iterable<Observation>
  /** The attack's events, the deciding one included, after which there is a finding at the latest. */
  readonly firesWithin: number
  /** Traffic of random clients, models and workloads, with more state keys than the detector may hold. */
  readonly randomClients: (seed: number) => Iterable<Observation>
  /** A smaller bound than the definition's, where exceeding that one would take too long. */
  readonly maxKeys?: number
}

const seeds = [1, 2, 3]

/** What every detector must do, whatever it detects. Run it over each entry of the registry. */
export function detectorContract<P extends z.ZodType, S extends z.ZodType>(
  declared: DetectorDefinition<P, S>,
  scenario: DetectorScenario<P>,
): void {
  const definition = { ...declared, maxKeys: scenario.maxKeys ?? declared.maxKeys }
  const bench = new Bench(listed(definition), scenario.params)
  const warmup = () => [...(scenario.warmup?.() ?? [])]
  const story = () => [...warmup(), ...scenario.attack()]

  describe(`${definition.id} keeps the detectors' contract:`, () => {
    it('its definition documents it', () => checkDefinition(definition, scenario.params))

    it('it is silent on benign traffic', () => {
      assert.deepEqual(bench.run(scenario.benign()).findings, [])
    })

    it(`it fires within ${scenario.firesWithin} events of its attack`, () => {
      const before = warmup()
      const host = bench.open()
      assert.deepEqual(bench.feed(host, before), [], 'the warm-up raised something')
      const attack = [...scenario.attack()]
      const findings = bench.feed(host, attack, before.length)
      const decided = findings[0]?.decidedBy
      assert.ok(findings.length > 0, `nothing after ${attack.length} events`)
      const at = attack.findIndex(({ id }) => id === decided) + 1
      assert.ok(at > 0 && at <= scenario.firesWithin, `fired at event ${at} of the attack`)
    })

    it('equal input gives equal findings', () => {
      for (const stream of [story(), [...scenario.randomClients(1)]]) {
        assert.deepEqual(bench.run(stream).findings, bench.run(stream).findings)
      }
    })

    it('a snapshot taken anywhere changes nothing', () => checkSnapshots(bench, story()))

    it('its state survives its schema through JSON', () => {
      for (const stream of [story(), [...scenario.randomClients(7)]]) checkStates(bench, definition, stream)
    })

    it('its scope tells the key of the topic', () => checkTopicKeys(definition, [...story(), ...scenario.randomClients(11)]))

    it('its keys stay bounded', () => {
      for (const seed of seeds) {
        const { host } = bench.run(scenario.randomClients(seed))
        assert.ok(host.counts.evicted > 0, 'the random clients have too few keys to exceed the bound')
        assert.equal(host.keys()[definition.id], definition.maxKeys)
      }
    })

    it('late and repeated events never make it throw', () => {
      for (const seed of seeds) {
        for (const stream of [story(), [...scenario.randomClients(seed)]]) bench.run(disturbed(stream, seed), { rememberIds: 1 })
      }
    })
  })
}

/** Runs the detector in a host that never forgives: whatever it throws fails the test, and what it is given is frozen. */
class Bench {
  readonly #definition: DetectorDefinition
  readonly #params: unknown
  /** What the detector, or the host, threw at the record that is applied: the host itself goes on. */
  #fault: Error | undefined

  constructor(definition: DetectorDefinition, params: unknown) {
    this.#definition = definition
    this.#params = params
  }

  open(options: Partial<PartitionHostOptions> = {}): PartitionHost {
    const onFault = (detector: string, _key: string | null, error: unknown) => {
      this.#fault ??= new Error(`${detector} failed`, { cause: error })
    }
    const onUnapplied = (offset: number, error: unknown) => {
      this.#fault ??= new Error(`the host failed at ${offset}`, { cause: error })
    }
    // Streams in tests have gaps of days and no host that ticks.
    const aheadMs = 365 * 86_400_000
    return createPartitionHost([{ definition: this.#definition, params: this.#params }], {
      topic: 'test',
      partition: 0,
      aheadMs,
      onFault,
      onUnapplied,
      ...options,
    })
  }

  /** @returns what the detector found; what the host says of gaps is left out */
  feed(host: PartitionHost, stream: Iterable<Observation>, offset = 0): Finding[] {
    const findings: Finding[] = []
    let at = offset
    for (const observation of stream) {
      findings.push(...host.apply(frozen(observation), at++))
      if (this.#fault !== undefined) throw this.#fault
    }
    return findings.filter(({ detector }) => detector === this.#definition.id)
  }

  run(stream: Iterable<Observation>, options: Partial<PartitionHostOptions> = {}): { host: PartitionHost; findings: Finding[] } {
    const host = this.open(options)
    return { host, findings: this.feed(host, stream) }
  }
}

function checkDefinition<P extends z.ZodType>(definition: DetectorDefinition<P>, params: z.input<P>): void {
  assert.match(definition.id, /^[a-z]+(-[a-z]+)*$/)
  assert.ok(definition.summary.length > 20, 'a summary is a sentence')
  assert.ok(definition.threats.length > 0)
  for (const threat of definition.threats) assert.match(threat, /^AML\.T\d{4}(\.\d{3})?$/)
  assert.ok(definition.observes.length > 0)
  assert.ok(definition.version >= 1 && definition.maxKeys >= 1 && definition.idleMs > 0)
  const parsed = definition.params.parse(params)
  assert.deepEqual(definition.params.parse(parsed), parsed, 'params does not accept what it put out')
  assert.doesNotThrow(() => definition.params.parse({}), 'every parameter has a default')
}

/** The lines of a snapshot of the host as it stands. */
export function snapshotLines(host: PartitionHost): string[] {
  const cut = host.cut()
  const lines: string[] = []
  for (let text = cut.read(1); text !== null; text = cut.read(1)) lines.push(...text.trimEnd().split('\n'))
  return lines
}

async function checkSnapshots(bench: Bench, stream: readonly Observation[]): Promise<void> {
  const expected = bench.run(stream)
  for (const seed of seeds) {
    const next = random(seed)
    const at = Math.floor(next() * stream.length)
    const first = bench.open()
    const findings = bench.feed(first, stream.slice(0, at))
    const second = bench.open()
    await second.restore([snapshotLines(first)])
    findings.push(...bench.feed(second, stream.slice(at), at))
    assert.deepEqual(findings, expected.findings, `snapshot after ${at} of ${stream.length} events`)
    assert.deepEqual(snapshotLines(second), snapshotLines(expected.host))
  }
}

function checkStates<P extends z.ZodType, S extends z.ZodType>(
  bench: Bench,
  { state }: DetectorDefinition<P, S>,
  stream: readonly Observation[],
): void {
  const host = bench.open()
  let offset = 0
  for (const part of [stream.slice(0, 1), stream.slice(1, stream.length / 2), stream.slice(stream.length / 2)]) {
    bench.feed(host, part, offset)
    offset += part.length
    const states = snapshotLines(host).map((line): { state?: unknown } => JSON.parse(line))
    for (const entry of states.filter((line) => line.state !== undefined).slice(-20)) {
      const json = JSON.stringify(entry.state)
      assert.equal(JSON.stringify(state.parse(JSON.parse(json))), json)
    }
  }
}

function checkTopicKeys(
  { scope, topicKey = (key) => key }: Pick<DetectorDefinition, 'scope' | 'topicKey'>,
  stream: readonly Observation[],
): void {
  let checked = 0
  for (const observation of stream) {
    const key = scope(observation)
    if (key === null) continue
    const spec = Object.values(topics).find(({ kind }) => kind === observation.kind) as TopicSpec | undefined
    assert.equal(topicKey(key), spec?.key(observation.data))
    checked += 1
  }
  assert.ok(checked > 0, 'nothing was observed')
}

/** Some events twice, some long after their time, some at times that never were. */
function disturbed(stream: readonly Observation[], seed: number): Observation[] {
  const next = random(seed)
  const held: Observation[] = []
  const out: Observation[] = []
  for (const observation of stream) {
    const draw = next()
    if (draw < 0.1) held.push(observation)
    else out.push(observation)
    if (draw > 0.9) out.push(observation)
    if (draw > 0.85 && draw < 0.87) out.push({ ...observation, time: observation.time - Math.floor(next() * 86_400_000) })
    if (draw > 0.8 && draw < 0.81) out.push(...held.splice(0))
  }
  return [...out, ...held]
}

function frozen(observation: Observation): Observation {
  Object.freeze(observation.data)
  return Object.freeze(observation)
}
