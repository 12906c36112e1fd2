import { join } from 'node:path'
import type { Command } from 'commander'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { configurations } from '../../inference/configuration.ts'
import { buildProfile, type Samples } from '../../inference/fingerprint/build-profile.ts'
import { type NpyFile, openNpy } from '../../inference/fingerprint/npy.ts'
import { writeProfile } from '../../inference/fingerprint/profile-file.ts'
import type { ModelInfo, TensorRuntime } from '../../inference/port.ts'
import { openRegistry } from '../../inference/registry.ts'
import { loadConfig } from '../config/load.ts'
import { CliError } from '../errors.ts'
import { Closers } from '../instance/closers.ts'
import { modelsDirOf } from '../instance/models-dir.ts'
import { openServing } from '../instance/serving.ts'
import { openOutput } from '../output.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'

type Flags = StartFlags & {
  readonly modelVersion?: string
  readonly inputs: string
  readonly calibration?: string
  readonly suspect: string
  readonly batch: string
  readonly json?: boolean
}

export function profilesCommand(profiles: Command): void {
  withConfigFlags(
    profiles
      .command('build <model>')
      .description(
        "learn it from a file of ordinary inputs and the model's answers to them, and put it beside the model; then restart its nodes",
      ),
  )
    .option('--model-version <version>', 'version of the model; default its newest')
    .requiredOption(
      '--inputs <file>',
      'NumPy file (.npy) of ordinary inputs as the model takes them, [items, …]; at least 200, better thousands',
    )
    .option('--calibration <file>', 'more of them that the model was not trained on; default every second one of --inputs')
    .option('--suspect <share>', "share of the inputs that may be an attacker's, where they were taken from traffic: 0 to 0.3", '0')
    .option('--batch <n>', 'inputs that the model is asked at once', '32')
    .option('--json', 'print one JSON object at the end')
    .action(build)
}

async function build(model: string, flags: Flags): Promise<void> {
  const { config, sources } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
  const log = pino({ level: sources.has('log.level') ? config.log.level : 'warn' }, pino.destination({ dest: 2, sync: true }))
  const modelsDir = modelsDirOf(config)
  const closers = new Closers()
  // Before the model is asked thousands of times.
  const [batch, suspect] = [batchOf(flags.batch), suspectOf(flags.suspect)]
  const tells = flags.json !== true && process.stderr.isTTY
  try {
    const declared = await openRegistry(modelsDir)
    const info = versionOf(declared.list(), model, flags.modelVersion)
    const pool = config.pools.find(({ models }) => models.includes(model))
    if (pool === undefined) throw new CliError('USAGE', `no pool serves ${model}; name it under pools in the configuration`)
    const context = {
      config: { ...config, pools: [{ ...pool, models: [model] }] },
      clock: Date.now,
      closers,
      registry: new Registry(),
      log,
    }
    const { runtime } = await openServing(context, modelsDir, declared, configurations(config.models))
    const [inputs, calibration] = samplesOf(flags, closers)
    const ask = { model, version: info.version, pool: pool.name }
    const outputs = await answersTo(runtime, ask, calibration, batch, tells)
    const range = info.inputs[0]?.range ?? spanOf(inputs)
    const classes = outputs.length / calibration.count
    if (tells) process.stderr.write('learning from the answers …\n')
    const bytes = buildProfile({ shape: inputs.shape, range, inputs, calibration, outputs, classes, suspect })
    const folder = join(modelsDir, model, info.version)
    const { id, nearScale } = writeProfile(folder, bytes)
    const done = {
      model,
      version: info.version,
      profile: id,
      bytes: bytes.length,
      inputs: inputs.count,
      calibration: calibration.count,
      suspect,
      nearScale,
    }
    const text = `${folder}: profile ${id} of ${inputs.count} inputs, held against ${calibration.count} more; restart the nodes that serve ${model}`
    openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).one(done, text)
  } finally {
    await closers.closeAll(log)
  }
}

function versionOf(infos: readonly ModelInfo[], model: string, version: string | undefined): ModelInfo {
  const found = infos.findLast((info) => info.name === model && (version === undefined || info.version === version))
  if (found !== undefined) return found
  throw new CliError(
    'USAGE',
    `there is no ${version === undefined ? 'model' : `version ${version} of a model`} ${model}: ${[...new Set(infos.map(({ name }) => name))].join(', ')}`,
  )
}

function suspectOf(text: string): number {
  const share = Number(text)
  if (text.trim() !== '' && share >= 0 && share <= 0.3) return share
  throw new CliError('USAGE', `--suspect ${JSON.stringify(text)}: a share from 0 to 0.3`)
}

function batchOf(text: string): number {
  const batch = Number(text)
  if (Number.isInteger(batch) && batch >= 1 && batch <= 1_024) return batch
  throw new CliError('USAGE', `--batch ${JSON.stringify(text)}: a number from 1 to 1024`)
}

/** What directions are taken from, and what is held against them. */
function samplesOf({ inputs, calibration }: Flags, closers: Closers): readonly [NpyFile, Samples] {
  const all = closers.keep('inputs', openNpy(inputs))
  if (calibration === undefined) return [{ ...all, ...half(all, 0) }, half(all, 1)]
  const held = closers.keep('calibration', openNpy(calibration))
  if (held.shape.join() === all.shape.join()) return [all, held]
  throw new CliError('USAGE', `--calibration has inputs of ${held.shape.join('×')}, --inputs of ${all.shape.join('×')}`)
}

function half({ count, at }: Samples, offset: number): Samples {
  return { count: Math.floor((count - offset + 1) / 2), at: (item) => at(2 * item + offset) }
}

/** Least and most of what was seen, where the model declares no bounds. */
function spanOf({ count, at }: Samples): readonly [number, number] {
  let [low, high] = [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]
  for (let item = 0; item < Math.min(count, 1_000); item++) {
    for (const value of at(item)) {
      low = Math.min(low, value)
      high = Math.max(high, value)
    }
  }
  return high > low ? [low, high] : [low, low + 1]
}

/** `[items, classes]`: the model's first output. */
async function answersTo(
  runtime: TensorRuntime,
  ask: { readonly model: string; readonly version: string; readonly pool: string },
  { count, at }: Samples,
  batch: number,
  tells: boolean,
): Promise<Float32Array> {
  const rows: Float32Array[] = []
  for (let first = 0; first < count; first += batch) {
    const items = Math.min(batch, count - first)
    const width = at(first).length
    const input = new Float32Array(items * width)
    for (let item = 0; item < items; item++) input.set(at(first + item), item * width)
    rows.push(await classify(runtime, ask, input, items))
    if (tells) process.stderr.write(`\r${first + items} of ${count} answered`)
  }
  if (tells) process.stderr.write('\n')
  const outputs = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0))
  let filled = 0
  for (const row of rows) {
    outputs.set(row, filled)
    filled += row.length
  }
  return outputs
}
