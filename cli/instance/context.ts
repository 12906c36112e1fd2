import { hostname } from 'node:os'
import { type Logger, pino } from 'pino'
import { collectDefaultMetrics, Registry } from 'prom-client'
import { type Pulse, startHeart } from '../../bus/heartbeat.ts'
import { Pause } from '../../bus/pause.ts'
import type { EventBus } from '../../bus/port.ts'
import { openView, type View } from '../../bus/view.ts'
import { CordonError, type Heartbeat, type Instant, type Risk, type RoleName } from '../../schemas/index.ts'
import type { Config } from '../config/schema.ts'
import { openBus } from './bus.ts'
import { Closers } from './closers.ts'
import type { Policy } from './policy.ts'

/** Processes that are kept in mind: every role may write heartbeats, in whatever name, and each may be a megabyte. */
const mostInstances = 4_096

/** What every role needs, whether it has a process of its own or shares one. */
export interface Context {
  readonly config: Config
  readonly version: string
  /** This process's name, in heartbeats and as the source of what it writes. */
  readonly instance: string
  readonly bus: EventBus
  readonly clock: () => Instant
  readonly registry: Registry
  readonly log: Logger
  readonly closers: Closers
  /** What every process said of itself last; opened when a role first asks, since not every role may read it. */
  heartbeats(): Promise<View<Heartbeat>>
  /** How risky principals are; opened when a role first asks. */
  risks(): Promise<View<Risk>>
  /** What decides whether callers, and people, may; null where nothing is configured to. One for all roles of a process. */
  policy(): Promise<Policy | null>
  /** Begins to say what a role does; resolves when it was said once. */
  heart(role: RoleName, pulse: () => Pulse): Promise<void>
  /** A listener for failures that are logged and survived. */
  warn(what: string): (err: unknown) => void
}

export interface ContextOptions {
  readonly config: Config
  readonly version: string
  readonly instance: string
  readonly log: Logger
  readonly closers: Closers
  readonly bus: EventBus
}

export function openContext({ config, version, instance, log, closers, bus }: ContextOptions): Context {
  const clock = () => Date.now()
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'cordon_' })
  const warn = (what: string) => (err: unknown) => log.warn({ err }, what)
  const heartbeats = once(async () =>
    closers.keep(
      'heartbeats',
      await openView(bus, 'heartbeats', { onError: warn('a heartbeat could not be read'), maxKeys: mostInstances }),
    ),
  )
  const risks = once(async () => closers.keep('risks', await openView(bus, 'risks', { onError: warn('a risk could not be read') })))
  const policy = once(async () => {
    const { openPolicy } = await import('./policy.ts')
    return openPolicy({ config, clock, registry, log, closers }, await risks())
  })
  return {
    config,
    version,
    instance,
    bus,
    clock,
    registry,
    log,
    closers,
    heartbeats,
    risks,
    policy,
    warn,
    heart: async (role, pulse) => {
      const heart = await startHeart({ bus, clock, log, role, instance, version, everyMs: config.heartbeatMs, pulse })
      closers.add(`heart of ${role}`, () => heart.close())
    },
  }
}

/** The same for whoever asks, opened for the first. */
function once<T>(open: () => Promise<T>): () => Promise<T> {
  let opened: Promise<T> | undefined
  return () => {
    opened ??= open()
    return opened
  }
}

/**
 * Runs `open`, and closes what it opened when it fails. Where it failed because Kafka or ClickHouse does not answer it tries
 * again, for as long as that takes: processes are started in any order, and after a power cut all at once.
 */
export async function opening<T>(config: Config, open: (log: Logger, closers: Closers) => Promise<T>): Promise<T> {
  const log = openLog(config.log.level)
  const pause = new Pause()
  for (;;) {
    const closers = new Closers()
    try {
      return await open(log, closers)
    } catch (err) {
      await closers.closeAll(log)
      if (!isAway(err, config)) throw err
      log.warn({ err }, 'not started yet: waiting for what it needs')
      await pause.wait(new AbortController().signal)
    }
  }
}

/** A server that is not there, or not yet; anything else would not mend itself. */
function isAway(error: unknown, { store }: Config): boolean {
  if (!(error instanceof CordonError)) return false
  return error.code === 'BUS_UNAVAILABLE' || (error.code === 'STORE_UNAVAILABLE' && store.url !== null)
}

/** The bus, to be closed last. */
export async function openBusOf(config: Config, instance: string, log: Logger, closers: Closers): Promise<EventBus> {
  const bus = await openBus(config, log, instance)
  closers.add('bus', () => bus.close())
  return bus
}

/** A name that no other process has: the host's and the process's. */
export function ownName(config: Config): string {
  const host = hostname().replaceAll(/[^\p{L}\p{N}._-]/gu, '-')
  return config.instance ?? `${/^[\p{L}\p{N}]/u.test(host) ? host : `host-${host}`}-${process.pid}`.slice(0, 128)
}

/** To standard error, without secrets. */
export function openLog(level: Config['log']['level']): Logger {
  const redact = {
    paths: [
      'key',
      'token',
      'password',
      'secret',
      '*.key',
      '*.token',
      '*.password',
      '*.secret',
      '*.authorization',
      'req.headers.authorization',
    ],
    censor: '[redacted]',
  }
  return pino({ level, redact }, pino.destination({ dest: 2, sync: false }))
}
