import type { LoadedConfig } from '../config/load.ts'
import { Config } from '../config/schema.ts'
import { busCheck } from './bus.ts'
import { certificateCheck } from './certificates.ts'
import { type Check, type DoctorContext, type Examined, examine } from './check.ts'
import { clockCheck } from './clock.ts'
import { configurationCheck } from './configuration.ts'
import { descriptorCheck } from './descriptors.ts'
import { diskCheck } from './disk.ts'
import { instanceCheck } from './instance.ts'
import { issuerCheck } from './issuers.ts'
import { modelCheck } from './models.ts'
import { nativeCheck } from './native-parts.ts'
import { nodeCheck } from './node-version.ts'
import { permissionCheck } from './permissions.ts'
import { policyCheck } from './policies.ts'
import { listenersOf, portCheck } from './ports.ts'
import { priceCheck } from './prices.ts'
import { findRunning, holderOf, type Running } from './running.ts'
import { secretCheck } from './secrets.ts'
import { storeCheck } from './store.ts'
import { upstreamCheck } from './upstreams.ts'

export interface DoctorOptions {
  /** The configuration, or why there is none; then only what does not hang on it is looked at. */
  readonly loaded: LoadedConfig | Error
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly now: () => number
  /** After each check, out of how many. */
  readonly onProgress?: (done: number, all: number) => void
}

/** Looks at everything that an instance of this configuration depends on. Changes nothing. */
export async function runDoctor({ loaded, environment, now, onProgress = () => {} }: DoctorOptions): Promise<readonly Examined[]> {
  const config = loaded instanceof Error ? Config.parse({}) : loaded.config
  const clocks: DoctorContext['clocks'] = new Map()
  let found: Promise<Running | null> | undefined
  const running = () => {
    found ??= findRunning(config, { clocks, now })
    return found
  }
  const context: DoctorContext = {
    config,
    file: loaded instanceof Error ? null : loaded.file,
    now,
    clocks,
    held: holderOf(config),
    running,
  }
  const checks = [nodeCheck, nativeCheck, descriptorCheck, configurationCheck(loaded, environment)]
  if (!(loaded instanceof Error)) checks.push(...checksOf(config))
  const all = checks.length + 1
  let done = 0
  const advance = () => onProgress(++done, all)
  onProgress(0, all)
  const examined = await examine(checks, context, advance)
  return [...examined, ...(await examine([clockCheck], context, advance))]
}

function checksOf(config: Config): Check[] {
  return [
    secretCheck,
    permissionCheck,
    diskCheck,
    instanceCheck,
    ...listenersOf(config).map(portCheck),
    busCheck,
    storeCheck,
    ...config.access.issuers.map(issuerCheck),
    certificateCheck,
    policyCheck,
    modelCheck,
    priceCheck,
    ...config.pools.flatMap((pool) => (pool.upstream === null ? [] : [upstreamCheck(pool, pool.upstream)])),
  ]
}
