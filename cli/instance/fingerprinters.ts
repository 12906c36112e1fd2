import type { Logger } from 'pino'
import type { PoolConfiguration } from '../../inference/configuration.ts'
import { openFingerprinter } from '../../inference/fingerprint/fingerprint.ts'
import type { Fingerprinter } from '../../inference/port.ts'
import type { ModelRegistry } from '../../inference/registry.ts'
import type { NodeSecrets } from './secrets.ts'

/**
 * One fingerprinter for each version, of a model that some pool serves, that has a reference profile, wherever it runs. The
 * others are served unwatched, which is said.
 */
export async function openFingerprinters(
  registry: ModelRegistry,
  pools: readonly PoolConfiguration[],
  secrets: NodeSecrets,
  log: Logger,
): Promise<(model: string, version: string) => Fingerprinter | undefined> {
  const opened = new Map<string, Fingerprinter>()
  for (const model of new Set(pools.flatMap(({ models }) => models))) {
    for (const { version } of registry.list().filter(({ name }) => name === model)) {
      const profile = await registry.readProfile(model, version)
      if (profile === null) continue
      opened.set(`${model}/${version}`, openFingerprinter({ profile, key: secrets.fingerprintKey, epoch: secrets.fingerprintEpoch }))
    }
    if (![...opened.keys()].some((key) => key.startsWith(`${model}/`)))
      log.warn({ model }, 'no reference profile: probing and extraction of this model cannot be seen')
  }
  return (model, version) => opened.get(`${model}/${version}`)
}
