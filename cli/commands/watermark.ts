import { join } from 'node:path'
import type { Command } from 'commander'
import { pino } from 'pino'
import { Registry } from 'prom-client'
import { classify } from '../../inference/classify.ts'
import { configurations, PoolConfiguration } from '../../inference/configuration.ts'
import { type NpyFile, openNpy } from '../../inference/fingerprint/npy.ts'
import type { ModelInfo } from '../../inference/port.ts'
import { openRegistry } from '../../inference/registry.ts'
import { openMarker } from '../../inference/watermark/marker.ts'
import { type Verdict, verifyWatermark } from '../../inference/watermark/verify.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import { CliError } from '../errors.ts'
import { Closers } from '../instance/closers.ts'
import { modelsDirOf } from '../instance/models-dir.ts'
import { openNodeSecrets } from '../instance/secrets.ts'
import { openServing } from '../instance/serving.ts'
import { openOutput } from '../output.ts'
import { configFlags, type StartFlags, withConfigFlags } from './config-flags.ts'

type Flags = StartFlags & {
  readonly principal: string
  readonly inputs: string
  readonly predictions?: string
  readonly suspect?: string
  readonly own?: string
  readonly modelVersion?: string
  readonly marked?: string
  readonly secrets?: string
  readonly json?: boolean
}

/** Inputs that a model is asked at once. */
const batch = 32
/** What a model learned by chance is not called proof; a court would ask for more than one in twenty. */
const proof = 0.001

export function watermarkCommand(watermark: Command): void {
  withConfigFlags(
    watermark
      .command('verify <model>')
      .description('how probable it is that a suspect model agrees by chance with the wrong answers that a principal was given'),
  )
    .requiredOption('--principal <name>', 'whose answers the suspect may have learned from')
    .requiredOption('--inputs <file>', 'NumPy file (.npy) of inputs that the principal may have asked, [items, …], best those it did ask')
    .option('--predictions <file>', 'NumPy file of what the suspect says of them: [items, classes], or [items, 1] labels')
    .option('--suspect <dir>', 'instead, a directory of models with the suspect in it: <dir>/<name>/<version>/manifest.json')
    .option('--own <file>', 'NumPy file of what the model itself says of them; default it is asked')
    .option('--model-version <version>', 'version of the model; default its newest')
    .option('--marked <share>', 'share of the inputs that was marked then; default what is configured')
    .option('--secrets <file>', "the nodes' secrets as they were then, where the key of fingerprints was rotated since")
    .option('--json', 'print one JSON object')
    .action(verify)
}

async function verify(model: string, flags: Flags): Promise<void> {
  const { config } = loadConfig({ file: flags.config, environment: process.env, flags: configFlags(flags) })
  const log = pino({ level: 'warn' }, pino.destination({ dest: 2, sync: true }))
  const closers = new Closers()
  try {
    const configured = configurations(config.models)(model).hardening.marked
    const share = flags.marked === undefined ? configured : shareOf(flags.marked)
    // Never made here: what was marked was marked under the key of the nodes.
    const secretsFile = flags.secrets ?? config.secretsFile ?? join(config.dataDir, 'secrets.json')
    const marker = openMarker(openNodeSecrets({ ...config, secretsFile }).fingerprintKey)
    const inputs = closers.keep('inputs', openNpy(flags.inputs))
    const asking = { config, closers, inputs, log }
    const own = await ownAnswers(asking, model, flags)
    const suspect = await suspectAnswers(asking, flags)
    if (own.classes < 2) throw new CliError('USAGE', '--own: labels alone do not say how many classes there are; give [items, classes]')
    const trial = { ...inputs, classes: own.classes, own: own.labels, suspect: suspect.labels }
    const verdict = verifyWatermark(marker, { principal: flags.principal, model }, share, trial)
    openOutput(flags.json === true, (line) => process.stdout.write(`${line}\n`)).one(
      { model, principal: flags.principal, share, ...verdict },
      said(verdict, flags.principal),
    )
  } finally {
    await closers.closeAll(log)
  }
}

function said({ marked, hits, baseRate, p }: Verdict, principal: string): string {
  const seen = `${hits} of ${marked} marked inputs are answered as only ${principal} was told; by chance ${(100 * baseRate).toFixed(2)} % would be: p = ${p.toPrecision(2)}`
  if (marked === 0) return `${seen}\nnone of these inputs is marked: give more of them, some 250 for each mark`
  return p < proof ? `${seen}\nthe suspect learned from these answers` : `${seen}\nnothing says that the suspect learned from these answers`
}

function shareOf(text: string): number {
  const share = Number(text)
  if (text.trim() !== '' && share > 0 && share <= 0.01) return share
  throw new CliError('USAGE', `--marked ${JSON.stringify(text)}: a share above 0, up to 0.01`)
}

interface Asking {
  readonly config: Config
  readonly closers: Closers
  readonly inputs: NpyFile
  readonly log: pino.Logger
}

interface Labels {
  readonly labels: Int32Array
  /** 1 where they are labels alone. */
  readonly classes: number
}

async function ownAnswers(asking: Asking, model: string, { own, modelVersion }: Flags): Promise<Labels> {
  if (own !== undefined) return labelsIn(asking, own, '--own')
  return asked(asking, modelsDirOf(asking.config), ({ name, version }) => name === model && version === (modelVersion ?? version))
}

async function suspectAnswers(asking: Asking, { predictions, suspect }: Flags): Promise<Labels> {
  if ((predictions === undefined) === (suspect === undefined)) throw new CliError('USAGE', 'give either --predictions or --suspect')
  return predictions === undefined ? asked(asking, suspect ?? '', () => true) : labelsIn(asking, predictions, '--predictions')
}

function labelsIn({ closers, inputs }: Asking, path: string, flag: string): Labels {
  const file = closers.keep(flag, openNpy(path))
  const [classes = 1, ...more] = file.shape
  if (file.count !== inputs.count || more.length > 0)
    throw new CliError('USAGE', `${flag}: expected [${inputs.count}, classes] or [${inputs.count}, 1], one row for each input`)
  return { labels: Int32Array.from({ length: file.count }, (_, i) => (classes === 1 ? (file.at(i)[0] ?? 0) : topOf(file.at(i)))), classes }
}

/** Asks the newest model of a directory that is meant, and takes these inputs. */
async function asked({ config, closers, inputs, log }: Asking, dir: string, meant: (info: ModelInfo) => boolean): Promise<Labels> {
  const declared = await openRegistry(dir)
  const info = declared.list().findLast((one) => meant(one) && takes(one, inputs.shape))
  if (info === undefined) throw new CliError('USAGE', `there is no model in ${dir} that takes these inputs, of ${inputs.shape.join('×')}`)
  const { name: model, version } = info
  const configured = config.pools.find(({ models }) => dir === modelsDirOf(config) && models.includes(model))
  const pool = configured ?? PoolConfiguration.parse({ name: 'verify', models: [model] })
  const context = { config: { ...config, pools: [{ ...pool, models: [model] }] }, clock: Date.now, closers, registry: new Registry(), log }
  const { runtime } = await openServing(context, dir, declared, configurations(config.models))
  const labels = new Int32Array(inputs.count)
  let classes = 1
  for (let first = 0; first < inputs.count; first += batch) {
    const items = Math.min(batch, inputs.count - first)
    const rows = Array.from({ length: items }, (_, item) => inputs.at(first + item).slice())
    const input = new Float32Array(items * (rows[0]?.length ?? 0))
    for (const [item, row] of rows.entries()) input.set(row, item * row.length)
    const output = await classify(runtime, { model, version, pool: pool.name }, input, items)
    classes = output.length / items
    for (let item = 0; item < items; item++) labels[first + item] = topOf(output.subarray(item * classes, (item + 1) * classes))
  }
  return { labels, classes }
}

function takes({ inputs }: ModelInfo, shape: readonly number[]): boolean {
  const [input, ...others] = inputs
  return others.length === 0 && input?.datatype === 'FP32' && input.shape.slice(1).join() === shape.join()
}

function topOf(row: Float32Array): number {
  let top = 0
  for (let i = 1; i < row.length; i++) if ((row[i] as number) > (row[top] as number)) top = i
  return top
}
