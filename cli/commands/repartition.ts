import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { pino } from 'pino'
import type { EventBus } from '../../bus/port.ts'
import { openView } from '../../bus/view.ts'
import { type Repartitioned, repartition } from '../../pipeline/repartition.ts'
import type { Heartbeat } from '../../schemas/index.ts'
import { loadConfig } from '../config/load.ts'
import { parseDuration } from '../duration.ts'
import { CliError } from '../errors.ts'
import { openBus } from '../instance/bus.ts'
import { configuredDetectors } from '../instance/roles/detect.ts'
import { openOutput, span } from '../output.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'

/** As many as Kafka's own tools would let one topic have without a second thought. */
const mostPartitions = 10_000

type Flags = StartFlags & { readonly partitions: string; readonly settle?: string; readonly json?: boolean }

export function repartitionCommand(command: Command): void {
  withConfigFlags(command)
    .requiredOption('--partitions <n>', 'how many it is to have; best a multiple of how many it has')
    .option('--settle <duration>', 'how long senders may take to notice (default 45s over Kafka)')
    .option('--json', 'print one JSON object at the end')
    .action(run)
}

async function run(topic: string, flags: Flags): Promise<void> {
  const to = partitionsOf(flags.partitions)
  const { config, sources } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
  const { prefix } = config.bus
  const log = pino({ level: sources.has('log.level') ? config.log.level : 'warn' }, pino.destination({ dest: 2, sync: true }))
  const bus = await openBus(config, log, 'cordon-repartition')
  try {
    const { latenessMs, skewMs, objectiveMs } = config.detection
    const beats = await heartbeatsOf(bus)
    const did = await repartition({
      bus,
      detectors: configuredDetectors(config),
      topic,
      to,
      settleMs: flags.settle === undefined ? settleOf(bus) : parseDuration(flags.settle),
      latenessMs,
      skewMs,
      objectiveMs,
      heartbeats: beats,
      clock: Date.now,
      sleep: (ms) => sleep(ms),
      log,
      onProgress: (text) => {
        if (flags.json !== true) process.stdout.write(`${text}\n`)
      },
    })
    const output = openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`))
    output.one({ ...did, topic: prefix + topic }, describe(did, config.bus.adapter))
  } finally {
    await bus.close()
  }
}

function partitionsOf(text: string): number {
  const partitions = Number(text)
  if (/^\d{1,5}$/.test(text) && partitions >= 1 && partitions <= mostPartitions) return partitions
  throw new CliError('USAGE', `--partitions ${JSON.stringify(text)}: a number from 1 to ${mostPartitions}`)
}

/**
 * What a publisher that has its brokers knows of a topic is at most 20 s old when it takes a record, which it then sends within
 * 20 s or not at all, in a request that may be on its way for 5 s. Embedded, there is no sender besides us.
 */
function settleOf({ adapter }: EventBus): number {
  return adapter === 'embedded' ? 0 : 45_000
}

/** Embedded, the log's lock has told already that nobody else is at work. */
async function heartbeatsOf(bus: EventBus): Promise<() => Iterable<Heartbeat>> {
  if (bus.adapter === 'embedded') return () => []
  const view = await openView(bus, 'heartbeats')
  return () => view.values()
}

function describe({ topic, from, to, keysMoved, entries, findingsPublished, tookMs }: Repartitioned, adapter: EventBus['adapter']): string {
  const done = `${topic} has ${to} partitions (had ${from}): ${keysMoved} of ${entries} states moved, ${findingsPublished} findings published, in ${span(tookMs)}`
  const start = adapter === 'embedded' ? 'start it again: cordon start' : 'start the detect processes again: cordon detect'
  return `${done}\nnext  set bus.partitions.${topic} to ${to} in the configuration of every process; one that starts with another number refuses to\nthen  ${start}`
}
