import { resolve } from 'node:path'
import { z } from 'zod'
import { Name } from '../../schemas/index.ts'
import { portOf } from '../commands/config-flags.ts'
import { parseDuration } from '../duration.ts'
import { CliError } from '../errors.ts'
import { type IssuerPlan, issuerPlan } from './issuer.ts'

/** What may be said beforehand, as it was typed; what is left out is asked for, or takes its default. */
export interface InitFlags {
  readonly admin?: string
  readonly issuer?: string
  readonly audience?: string
  readonly alias?: string
  readonly model?: string
  readonly modelsDir?: string
  readonly upstream?: string
  readonly protocol?: string
  readonly limit?: string
  readonly port?: string
  readonly consolePort?: string
  readonly kafka?: string
  readonly clickhouse?: string
}

export type ModelPlan =
  | { readonly from: 'built-in'; readonly models: readonly string[] }
  | { readonly from: 'folder'; readonly models: readonly string[]; readonly dir: string }
  | { readonly from: 'upstream'; readonly models: readonly string[]; readonly url: string; readonly protocol: 'oip' | 'openai' }

export interface LimitPlan {
  readonly requests: number
  readonly windowMs: number
}

/** What is to be set up. */
export interface Plan {
  readonly admin: string
  readonly issuer: IssuerPlan | null
  readonly model: ModelPlan
  /** For each principal; null is none. */
  readonly limit: LimitPlan | null
  readonly port: number
  readonly consolePort: number
  /** Empty is the log in this process. */
  readonly brokers: readonly string[]
  /** Null is the store in this process. */
  readonly clickhouse: string | null
}

const builtIn = ['digits', 'language']

/**
 * Reads what was typed.
 *
 * @throws CliError `USAGE`, naming the flag
 */
export function planOf(flags: InitFlags): Plan {
  return {
    admin: adminOf(flags.admin ?? 'admin'),
    issuer: issuerPlan(flags),
    model: modelOf(flags),
    limit: limitOf(flags.limit ?? '1000/1h'),
    port: portOf('--port', flags.port ?? '8080'),
    consolePort: portOf('--console-port', flags.consolePort ?? '8090'),
    brokers: brokersOf(flags.kafka ?? ''),
    clickhouse: clickhouseOf(flags.clickhouse ?? ''),
  }
}

export function adminOf(text: string): string {
  if (Name.safeParse(text).success) return text
  throw wrong('--admin', text, 'a name has letters, digits and . _ @ + : - only, and starts with a letter or digit')
}

/** `1000/1h`, or `none`. */
export function limitOf(text: string): LimitPlan | null {
  if (text === 'none') return null
  const [, count = '', window = ''] = /^([0-9]{1,12})\/(.+)$/.exec(text) ?? []
  const requests = Number(count)
  if (requests < 1) throw wrong('--limit', text, 'write requests and a time, such as 1000/1h, or none')
  const windowMs = parseDuration(/^\d/.test(window) ? window : `1${window}`)
  if (windowMs < 1_000 || windowMs > 31 * 86_400_000) throw wrong('--limit', text, 'the time is 1s to 31d')
  return { requests, windowMs }
}

export function modelOf({ model, modelsDir, upstream, protocol }: InitFlags): ModelPlan {
  if (modelsDir !== undefined && upstream !== undefined)
    throw new CliError(
      'USAGE',
      '--models-dir and --upstream: a model runs here or elsewhere; the file that is written shows how to have both',
    )
  if (upstream === undefined && protocol !== undefined) throw wrong('--protocol', protocol, 'is about --upstream, which is missing')
  if (upstream === undefined && modelsDir === undefined) {
    if (model !== undefined && !builtIn.includes(model))
      throw wrong('--model', model, `built in are ${builtIn.join(' and ')}; say with --models-dir or --upstream where others are`)
    return { from: 'built-in', models: model === undefined ? builtIn : [model] }
  }
  if (model === undefined) throw new CliError('USAGE', '--model: name the model that is to be served')
  if (!Name.safeParse(model).success) throw wrong('--model', model, 'letters, digits and . _ @ + : - only')
  if (modelsDir !== undefined) return { from: 'folder', models: [model], dir: resolve(modelsDir) }
  if (protocol !== 'oip' && protocol !== 'openai')
    throw wrong('--protocol', protocol ?? '', 'oip (Triton, KServe) or openai (vLLM, llama.cpp, LiteLLM)')
  return { from: 'upstream', models: [model], url: urlOf('--upstream', upstream ?? ''), protocol }
}

/** `kafka-1:9092,kafka-2:9092`; nothing for none. */
export function brokersOf(text: string): string[] {
  const brokers = text.split(',').flatMap((part) => (part.trim() === '' ? [] : [part.trim()]))
  const bad = brokers.find((broker) => !/^(\[[0-9a-fA-F:]+\]|[\w.-]+):\d{1,5}$/.test(broker))
  if (bad !== undefined) throw wrong('--kafka', bad, 'write host:port, several with commas between')
  return brokers
}

export function clickhouseOf(text: string): string | null {
  return text === '' ? null : urlOf('--clickhouse', text)
}

/** An address without a login: a file is read by more people than an environment. */
function urlOf(flag: string, text: string): string {
  const url = z.url({ protocol: /^https?$/ }).safeParse(text)
  // What was typed may have a password in it, and is not said again.
  if (!url.success) throw new CliError('USAGE', `${flag}: write an address such as http://10.0.0.5:8000`)
  const { username, password } = new URL(text)
  if (username === '' && password === '') return text
  throw new CliError(
    'USAGE',
    flag === '--clickhouse'
      ? `${flag}: write no user and password into the address; store.username and CORDON_STORE_PASSWORD are for them`
      : `${flag}: write no user and password into the address; tokenFile of the pool is for its token`,
  )
}

function wrong(flag: string, text: string, why: string): CliError {
  return new CliError('USAGE', `${flag} ${JSON.stringify(text)}: ${why}`)
}
