import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { type KeyRegistry, openKeys } from '../../access/key-registry.ts'
import { type KeyWriter, openKeyWriter } from '../../access/key-writer.ts'
import { decode, encode, newEvent } from '../../bus/codec.ts'
import { createEmbeddedBus } from '../../bus/embedded/bus.ts'
import type { ConsumerOptions, EventBus, OutgoingRecord } from '../../bus/port.ts'
import { Charge } from '../../pipeline/response/charge.ts'
import { type LeaseKeeper, type LeaseKeeperOptions, openLeases } from '../../pipeline/response/lease-keeper.ts'
import type { ResponseWorkerOptions } from '../../pipeline/response/options.ts'
import { type ResponseWorker, startResponseWorker } from '../../pipeline/response-worker.ts'
import { GuardOptions } from '../../responders/guard/guard.ts'
import { parsePlaybook } from '../../responders/playbooks/playbook.ts'
import { responders } from '../../responders/registry.ts'
import {
  type Action,
  type Containment,
  type Finding,
  type Incident,
  type Instant,
  type TopicData,
  termKey,
  topics,
} from '../../schemas/index.ts'
import { inventory, start } from '../responders/given.ts'
import { until } from './until.ts'

export const log = pino({ level: 'silent' })

/** A little of everything: degrees by confidence and repetition, and a pool. */
export const playbook = parsePlaybook(
  {
    id: 'test',
    version: 1,
    rules: [
      { id: 'again', when: { about: ['principal'], minRepetitions: 1 }, steps: [{ responder: 'deny-principal', for: '1h' }] },
      {
        id: 'certain',
        when: { about: ['principal'], minConfidence: 0.9 },
        steps: [
          { responder: 'throttle-principal', with: { requests: 1 }, for: '10m' },
          { responder: 'harden-output', for: '30m' },
        ],
      },
      {
        id: 'likely',
        when: { about: ['principal'], minConfidence: 0.7 },
        steps: [{ responder: 'throttle-principal', with: { requests: 30 }, for: '10m' }],
      },
      { id: 'stolen', when: { about: ['principal'], minConfidence: 0.6 }, steps: [{ responder: 'rotate-key', for: '1h' }] },
      { id: 'pool', when: { about: ['pool'] }, steps: [{ responder: 'quarantine-pool', for: '30m' }] },
      { id: 'rest', when: {}, steps: [] },
    ],
  },
  responders,
)

export class Crash extends Error {}

/** A bus that stops answering after some writes: the process is as good as dead from there. */
export class CrashingBus implements EventBus {
  readonly adapter = 'embedded'
  readonly #bus: EventBus
  #left: number
  /** Whether the write that it dies at still reaches the disk. */
  readonly #writes: boolean
  #crashed = false

  constructor(bus: EventBus, writesBefore: number, lastIsWritten: boolean) {
    this.#bus = bus
    this.#left = writesBefore
    this.#writes = lastIsWritten
  }

  get crashed(): boolean {
    return this.#crashed
  }

  async publish(records: readonly OutgoingRecord[]) {
    return this.#written(() => this.#bus.publish(records))
  }

  async consume(options: ConsumerOptions) {
    const onBatch: ConsumerOptions['onBatch'] = (batch, control) =>
      options.onBatch(batch, { ...control, commit: (offset) => this.#written(() => control.commit(offset)) })
    return this.#bus.consume({ ...options, onBatch })
  }

  tail: EventBus['tail'] = (options) => this.#bus.tail(options)
  ensureTopics: EventBus['ensureTopics'] = (configs) => this.#bus.ensureTopics(configs)
  planTopics: EventBus['planTopics'] = (configs) => this.#bus.planTopics(configs)
  growTopic: EventBus['growTopic'] = (...given) => this.#bus.growTopic(...given)
  read: EventBus['read'] = (...given) => this.#bus.read(...given)
  offsetsAt: EventBus['offsetsAt'] = (...given) => this.#bus.offsetsAt(...given)
  partitions: EventBus['partitions'] = (topic) => this.#bus.partitions(topic)
  groups: EventBus['groups'] = () => this.#bus.groups()
  close = async () => {}

  async #written<T>(write: () => Promise<T>): Promise<T> {
    if (this.#crashed) throw new Crash('crashed')
    if (this.#left-- > 0) return write()
    this.#crashed = true
    if (this.#writes) await write()
    throw new Crash('crashed')
  }
}

/** Writes of taking charge: where the term begins on `outcomes`, on what says that something is done, and on what does it. */
export const taking = 3

export interface Running {
  readonly charge: Charge
  readonly keys: KeyRegistry
  readonly keeper: LeaseKeeper
  readonly worker: ResponseWorker
  readonly registry: Registry
}

/** A real log in a directory of its own, a clock that is set by hand, and workers started and stopped on them. */
export class Given {
  now: Instant = start
  readonly rotations: string[] = []
  readonly bus: EventBus
  readonly #path: string
  readonly #running = new Set<Running>()

  static async open(): Promise<Given> {
    const path = await mkdtemp(join(tmpdir(), 'cordon-response-'))
    const bus = await createEmbeddedBus({ path })
    await bus.ensureTopics(Object.values(topics))
    return new Given(bus, path)
  }

  constructor(bus: EventBus, path: string) {
    this.bus = bus
    this.#path = path
  }

  charge(bus: EventBus = this.bus, holder = 'respond'): Promise<Charge> {
    return Charge.open({ bus, clock: () => this.now, holder, log })
  }

  /** Leases without a worker, in charge. */
  async keeper(changes: Partial<LeaseKeeperOptions> = {}): Promise<LeaseKeeper> {
    const bus = changes.bus ?? this.bus
    const charge = await this.charge(bus)
    const keeper = await this.#leases({ bus, charge, ...changes })
    await charge.take()
    const close = keeper.close.bind(keeper)
    return Object.assign(keeper, { close: () => close().then(() => charge.close()) })
  }

  #leases(options: Pick<LeaseKeeperOptions, 'bus' | 'charge'> & Partial<LeaseKeeperOptions>): Promise<LeaseKeeper> {
    return openLeases({ clock: () => this.now, source: 'respond', responders, log, sweepMs: null, ...options })
  }

  async start(changes: Partial<ResponseWorkerOptions> = {}, bus: EventBus = this.bus, rotate?: KeyWriter['rotate']): Promise<Running> {
    const clock = () => this.now
    const charge = await this.charge(bus)
    const keeper = await this.#leases({ bus, charge })
    const keys = await openKeys({ bus })
    const writer = openKeyWriter({ keys, charge, clock, source: 'respond' })
    const registry = new Registry()
    const worker = await startResponseWorker({
      bus,
      charge,
      responders,
      playbook,
      guard: GuardOptions.parse({}),
      ports: {
        leases: keeper,
        keys: {
          create: (key) => writer.create(key),
          revoke: (id) => writer.revoke(id),
          claim: (what, hash) => writer.claim(what, hash),
          close: () => writer.close(),
          rotate: async (what, oldDiesAt) => {
            this.rotations.push(what)
            return (rotate ?? writer.rotate.bind(writer))(what, oldDiesAt)
          },
        },
        models: { lastGood: async () => '1' },
      },
      models: { promote: () => Promise.reject(new Error('nobody promotes here')) },
      inventory: () => inventory(),
      clock,
      registry,
      log,
      source: 'respond',
      tickMs: null,
      execution: { timeoutMs: 500, attempts: 2, pauseMs: 1 },
      ...changes,
    })
    const running = { charge, keys, keeper, worker, registry }
    this.#running.add(running)
    return running
  }

  async stop(running: Running): Promise<void> {
    this.#running.delete(running)
    await running.worker.close()
    await running.keeper.close()
    await running.keys.close()
    await running.charge.close()
  }

  async publish(...findings: Finding[]): Promise<void> {
    await this.bus.publish(findings.map((finding) => encode('findings', newEvent('finding', finding, 'detect', finding.time))))
  }

  /** Resolves when the worker has committed everything on `findings`. */
  async handled(): Promise<void> {
    await until('the findings to be handled', async () => {
      const ends = (await this.bus.partitions('findings')).map(({ end }) => end)
      const group = (await this.bus.groups()).filter(({ group, topic }) => group === 'respond' && topic === 'findings')
      return ends.every((end, partition) => end === 0 || group.find((state) => state.partition === partition)?.committed === end)
    })
  }

  /** Every record of a topic, oldest first. */
  async all<T extends 'incidents' | 'actions' | 'containments' | 'risks' | 'commands' | 'dead-letters'>(topic: T): Promise<TopicData<T>[]> {
    const found: TopicData<T>[] = []
    for (const { partition, start: from } of await this.bus.partitions(topic)) {
      for await (const records of this.bus.read(topic, partition, from)) {
        for (const record of records) {
          if (record.value !== null && record.key !== termKey) found.push(decode(record).data as TopicData<T>)
        }
      }
    }
    return found
  }

  actions(): Promise<Action[]> {
    return this.all('actions')
  }

  leases(): Promise<Containment[]> {
    return this.all('containments')
  }

  /** The newest of each. */
  async incidents(): Promise<Incident[]> {
    return [...new Map((await this.all('incidents')).map((incident) => [incident.id, incident])).values()]
  }

  async close(): Promise<void> {
    for (const running of this.#running) await this.stop(running)
    await this.bus.close()
    await rm(this.#path, { recursive: true, force: true })
  }
}
